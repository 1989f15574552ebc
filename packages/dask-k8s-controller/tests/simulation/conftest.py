"""Virtual time, and a stage on the Kubernetes that the tests run on, with the CRDs."""

import asyncio
import itertools
import os

import pytest
from kubernetes.aio.config import kube_config

from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.login import Credentials

from .line import Client, Proxy
from .stage import Stage


@pytest.fixture
async def virtual_time(monkeypatch):
    """Virtual time advances a little whenever it is read, as real time does."""
    loop = asyncio.get_running_loop()
    time, looks = loop.time, itertools.count()
    monkeypatch.setattr(loop, "time", lambda: time() + next(looks) * 1e-9)


@pytest.fixture
async def stage(kubernetes, tmp_path, monkeypatch):
    # The package reads KUBECONFIG when it is imported.
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(kubernetes.kubeconfig))
    credentials = Credentials()
    await credentials.load()
    client = Client(credentials)
    for crd in plugin.PLUGIN.crds:
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        if await client.json("GET", f"{path}/{crd['metadata']['name']}") is None:
            await client.json("POST", path, crd)
    proxy = Proxy(client, tmp_path)
    await proxy.start()
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(proxy.kubeconfig))
    stage = Stage(client, proxy, needs_nodes=kubernetes.is_local)
    try:
        await stage.open()
        yield stage
        await stage.close()
    finally:
        await proxy.stop()
        await client.close()


@pytest.fixture
def unique():
    """A name that no other run has."""
    return f"sim-{os.urandom(4).hex()}"
