"""For all tests of the controller: the test kit, a server with set answers, no event loop left over."""

import asyncio
from types import SimpleNamespace

import aiohttp
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


@pytest.fixture
def slow_connections(monkeypatch):
    """Connections that are there once ``go_on`` is set; ``connected`` is set when one would be."""
    state = SimpleNamespace(connected=asyncio.Event(), go_on=asyncio.Event())
    connect = aiohttp.TCPConnector.connect

    async def wait(*arguments, **options):
        connection = await connect(*arguments, **options)
        state.connected.set()
        await state.go_on.wait()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", wait)
    return state
