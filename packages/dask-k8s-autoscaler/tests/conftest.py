"""For all tests of the autoscaler: the controller's test kit, no event loop left over."""

import asyncio

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]

# pytest-asyncio asks for the present loop and so makes one that nobody closes, unless none was ever wanted.
asyncio.set_event_loop(None)
