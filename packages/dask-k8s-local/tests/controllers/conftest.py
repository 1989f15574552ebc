"""A cluster that consists of store and controllers, without HTTP and kubelet."""

import asyncio

import pytest

from dask_k8s_local.api.delete import Deleter
from dask_k8s_local.controllers import run_all
from dask_k8s_local.controllers.client import ApiClient
from dask_k8s_local.controllers.namespaces import create_initial, initial
from dask_k8s_local.controllers.quota import Quotas
from dask_k8s_local.informer import wait_for_any_change
from dask_k8s_local.resources import BUILTIN, CONFIGMAPS, CRDS, NAMESPACES
from dask_k8s_local.store import Store

ABSENT = "11111111-1111-1111-1111-111111111111"


class Cluster:
    """The cluster, with methods to change it and to wait."""

    def __init__(self):
        self.store = Store()
        self.custom = []
        self.delete_for_controllers = Deleter(self.store)
        self.quotas = Quotas(self.store, self.resources)

    def resources(self):
        return [*BUILTIN, *self.custom]

    def run(self):
        return run_all(
            self.store,
            self.resources,
            ApiClient(self.create, self.delete_for_controllers),
            self.quotas,
            "PEM",
        )

    def create(self, resource, namespace, body):
        body["metadata"]["namespace"] = namespace
        return self.store.create(resource, body)

    def serve(self, resource):
        self.custom.append(resource)
        return self.make(CRDS, resource.key, namespace=None)

    def stop_serving(self, crd):
        resource = self.custom.pop()
        self.store.drop(resource)
        self.delete(CRDS, crd)

    def make(self, resource, name, *, namespace="ns", owners=(), finalizers=(), labels=None, **body):
        metadata = {"name": name, "ownerReferences": [*owners], "finalizers": [*finalizers], "labels": labels}
        metadata = {key: value for key, value in metadata.items() if value}
        if namespace and resource.namespaced:
            metadata["namespace"] = namespace
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        return self.store.create(resource, {**kind, "metadata": metadata, **body})

    def get(self, resource, name, namespace="ns"):
        return self.store.get(resource, namespace if resource.namespaced else None, name)

    def metadata(self, resource, name):
        return self.get(resource, name)["metadata"]

    def change(self, resource, name, *, metadata=None, **body):
        old = self.get(resource, name)
        new = {**old, **body, "metadata": {**old["metadata"], **(metadata or {})}}
        return self.store.update(resource, new)

    def delete(self, resource, obj, propagation="Background"):
        metadata = obj["metadata"]
        self.delete_for_controllers(
            resource, metadata.get("namespace"), metadata["name"], metadata["uid"], propagation=propagation
        )

    async def eventually(self, check):
        async with asyncio.timeout(30):
            while not check():
                await wait_for_any_change(self.store, self.resources(), self.store.version)

    async def gone(self, resource, *names, namespace="ns"):
        await self.eventually(lambda: not any(self.get(resource, name, namespace) for name in names))

    async def settled(self, namespace="ns"):
        """Wait until the garbage collector has processed all earlier changes."""
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": ABSENT}
        for name in ("first", "second"):
            self.make(CONFIGMAPS, name, owners=[owner], namespace=namespace)
            await self.gone(CONFIGMAPS, name, namespace=namespace)


def reference(obj, **more):
    metadata = obj["metadata"]
    kind = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    return {**kind, "name": metadata["name"], "uid": metadata["uid"], **more}


@pytest.fixture
def refer():
    """Return an owner reference."""
    return reference


@pytest.fixture
async def cluster():
    """Run all controllers of a cluster that has a namespace `ns`."""
    made = Cluster()
    create_initial(made.store)
    made.store.create(NAMESPACES, initial("ns"))
    running = asyncio.create_task(made.run())
    yield made
    assert not running.done() or running.result()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
