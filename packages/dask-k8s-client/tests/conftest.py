"""Fixtures of all tests of the client."""

import asyncio

import pytest

from .page import DocumentedFailure, rows

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]

# Otherwise pytest-asyncio asks for the current loop, which creates one that is never closed.
asyncio.set_event_loop(None)


@pytest.fixture
def documented(request) -> DocumentedFailure:
    """What docs/failures.md documents for the failure that this test causes."""
    return DocumentedFailure(rows()[request.function.__name__])
