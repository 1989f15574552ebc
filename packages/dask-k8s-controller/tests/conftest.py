"""For all tests of the controller: the test kit, a server with set answers, no event loop left over."""

import asyncio

import pytest
from kubernetes.aio.config import kube_config

from dask_k8s_controller.runtime.api import Api

from .fake_server import FakeServer

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]

# pytest-asyncio asks for the current event loop and thereby creates one that nobody closes, unless it is set.
asyncio.set_event_loop(None)


@pytest.fixture
async def server(tmp_path, monkeypatch):
    """Where the kubeconfig leads."""
    server = FakeServer(tmp_path / "kubeconfig")
    # The package reads KUBECONFIG when it is imported.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(server.kubeconfig))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def api(server):
    """A session with that server."""
    async with Api() as api:
        yield api
