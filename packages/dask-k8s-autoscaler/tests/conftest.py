"""For all tests of the autoscaler: the controller's test kit, no event loop left over."""

import asyncio

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]

# pytest-asyncio asks for the current event loop and thereby creates one that nobody closes, unless it is set.
asyncio.set_event_loop(None)
