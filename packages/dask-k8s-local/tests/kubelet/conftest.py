"""A node without an API server: store, scheduler, kubelet and Services."""

import asyncio
import tempfile
from pathlib import Path

import aiohttp
import pytest

from dask_k8s_local.events import Recorder
from dask_k8s_local.kubelet.kubelet import Machine, NodeAgent
from dask_k8s_local.kubelet.protocol import LogOptions
from dask_k8s_local.kubelet.runtime.client import Runtime
from dask_k8s_local.network.addresses import Block
from dask_k8s_local.network.dns import Dns
from dask_k8s_local.network.service_addresses import ServiceAddresses
from dask_k8s_local.network.services import ServiceNetwork
from dask_k8s_local.node import NAME, node
from dask_k8s_local.resources import CONFIGMAPS, EVENTS, NODES, PODS, SECRETS, SERVICES
from dask_k8s_local.scheduler.binder import Scheduler
from dask_k8s_local.store import Store, timestamp


class Node:
    """The node, with methods for tests."""

    def __init__(self, store, machine, agent, addresses):
        self.store = store
        self.block = machine.block
        self.names = machine.dns
        self.directory = machine.directory.parent
        self.agent = agent
        self._addresses = addresses

    def run(self, *command, name="pod", **more):
        """Create a pod with one container; `container` and `spec` are merged into it."""
        container = {"name": "main", "image": "python", **more.pop("container", {})}
        if command:
            container["command"] = list(command)
        return self.create(name, containers=[container, *more.pop("others", [])], **more)

    def create(self, name, *, labels=None, annotations=None, **spec):
        metadata = {"name": name, "namespace": "default", "labels": labels or {}, "generation": 1}
        metadata |= {"annotations": annotations} if annotations else {}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        return self.store.create(PODS, {**pod, "status": {"phase": "Pending"}})

    def config_map(self, name, **data):
        self._put(CONFIGMAPS, {"metadata": {"name": name, "namespace": "default"}, "data": data})

    def secret(self, name, **data):
        self._put(SECRETS, {"metadata": {"name": name, "namespace": "default"}, "data": data})

    def _put(self, resource, obj):
        known = self.store.get(resource, "default", obj["metadata"]["name"])
        (self.store.update if known else self.store.create)(resource, obj)

    def pod(self, name="pod"):
        return self.store.get(PODS, "default", name)

    def service(self, name, **spec):
        service = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        return self.store_service(self._addresses.assign(service))

    def store_service(self, service):
        return self.store.create(SERVICES, {"apiVersion": "v1", "kind": "Service", **service})

    def replace(self, service, spec):
        self.store.update(SERVICES, self._addresses.assign({**service, "spec": spec}, service))

    def remove(self, service):
        self.store.delete(SERVICES, "default", service["metadata"]["name"])

    def delete(self, name="pod", grace=None):
        """Delete a pod gracefully, like the API server."""
        pod = self.store.get(PODS, "default", name)
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        marks = {"deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": grace}
        self.store.update(PODS, {**pod, "metadata": {**pod["metadata"], **marks}})

    async def until(self, condition, name="pod", seconds=30):
        """Wait for a version of the pod; None is a deleted pod."""
        async with asyncio.timeout(seconds):
            async for event in self.store.watch(PODS, "default"):
                if event.object["metadata"]["name"] == name:
                    pod = None if event.type == "DELETED" else event.object
                    if pod is None or condition(pod):
                        return pod
        return None

    async def phase(self, phase, name="pod", seconds=30):
        return await self.until(lambda pod: pod["status"].get("phase") == phase, name, seconds)

    async def container(self, condition, name="pod", seconds=30):
        """Wait for a status of the first container and return it."""

        def met(pod):
            statuses = pod["status"].get("containerStatuses")
            return statuses and condition(statuses[0])

        return (await self.until(met, name, seconds))["status"]["containerStatuses"][0]

    async def gone(self, name="pod", seconds=30):
        if self.pod(name):
            assert await self.until(lambda _: False, name, seconds) is None

    async def log(self, name="pod", container="main", **options):
        pod = self.store.get(PODS, "default", name)
        pieces = [piece async for piece in self.agent.logs(pod, container, LogOptions(**options))]
        return b"".join(pieces).decode()

    def events(self, reason=None):
        found = sorted(self.store.list(EVENTS), key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [event["message"] for event in found if reason in (None, event["reason"])]


@pytest.fixture
async def machine():
    directory = Path(tempfile.mkdtemp())
    block, dns = Block.reserve(), Dns(directory / "names")
    runtime = await Runtime.start(directory)
    async with aiohttp.ClientSession() as http:
        yield Machine(
            node=NAME,
            directory=directory / "pods",
            block=block,
            dns=dns,
            runtime=runtime,
            http=http,
            first_backoff=0.2,
        )
    await runtime.close()
    block.close()


@pytest.fixture
async def here(machine):
    """The node."""
    store = Store()
    store.create(NODES, node(machine.block, "v1.34.0"))
    agent = NodeAgent(store, machine)
    addresses = ServiceAddresses(machine.block)
    services = ServiceNetwork(store, addresses, machine.dns, Recorder(store, "kube-proxy"))
    tasks = [asyncio.create_task(one.run()) for one in (Scheduler(store, NAME), agent, services)]
    yield Node(store, machine, agent, addresses)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [result for result in results if not isinstance(result, asyncio.CancelledError)] == []
