"""For all tests of the controller: golden files, a server that answers as told, no event loop left over."""

import asyncio
import json
from pathlib import Path

import pytest
from kubernetes.aio.config import kube_config

from dask_k8s_controller.runtime.api import Api

from .fake_server import FakeServer

GOLDEN = Path(__file__).with_name("golden")

# pytest-asyncio asks for the present loop and so makes one that nobody closes, unless none was ever wanted.
asyncio.set_event_loop(None)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files of the controller anew"
    )


@pytest.fixture
def golden(request):
    """Compare a value with a JSON file, whole; with --update-golden, write the file."""

    def compare(name, value):
        path = GOLDEN / f"{name}.json"
        text = json.dumps(value, indent=2) + "\n"
        if request.config.getoption("update_golden", default=False):
            path.write_text(text, encoding="utf-8")
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text)

    return compare


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
