"""For all tests of the client."""

import asyncio

import pytest

from .page import Told, rows

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]

# pytest-asyncio asks for the present loop and so makes one that nobody closes, unless none was ever wanted.
asyncio.set_event_loop(None)


@pytest.fixture
def told(request) -> Told:
    """What docs/failures.md says of the failure that this test brings about."""
    return Told(rows()[request.function.__name__])
