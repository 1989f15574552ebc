"""For all tests of the client."""

import asyncio

# pytest-asyncio asks for the present loop and so makes one that nobody closes, unless none was ever wanted.
asyncio.set_event_loop(None)
