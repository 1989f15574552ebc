"""Implements Services: proxies at their addresses and DNS names. Writes Events, but no Services and pods."""

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from dask_k8s_local.events import Recorder
from dask_k8s_local.informer import Change, WorkQueue, run_informer
from dask_k8s_local.network.backends import Backends
from dask_k8s_local.network.dns import Dns
from dask_k8s_local.network.errors import error_text
from dask_k8s_local.network.proxy import Place, Proxy
from dask_k8s_local.network.service_addresses import ServiceAddresses
from dask_k8s_local.resources import PODS, SERVICES
from dask_k8s_local.store import Object, Store, namespace_of

_LOCALHOST = "127.0.0.1"


class ProxiedService:
    """A Service with its proxies and DNS names."""

    def __init__(self, service: Object) -> None:
        self.backends = Backends(service)
        self.proxies: dict[int, Proxy] = {}
        """Proxies by port of the Service."""
        self.dropped = asyncio.Event()
        self.names: set[str] = set()

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the Service's spec as it is now."""
        return self.backends.spec

    def ports(self) -> dict[int, Mapping[str, Any]]:
        """Return the ports that should be open."""
        if self.spec.get("clusterIP") in (None, "", "None"):
            return {}
        ports = self.spec.get("ports") or ()
        return {port["port"]: port for port in ports if port.get("protocol", "TCP") == "TCP"}


class ServiceNetwork:
    """All Services of the cluster."""

    def __init__(self, store: Store, addresses: ServiceAddresses, dns: Dns, recorder: Recorder) -> None:
        self._store = store
        self._addresses = addresses
        self._dns = dns
        self._recorder = recorder
        self._queue: WorkQueue[ProxiedService] = WorkQueue()
        self._draining: set[Proxy] = set()
        """Proxies of deleted Services and ports that still have connections."""
        self._services: dict[str, dict[str, ProxiedService]] = {}

    async def run(self) -> None:
        """Serve all Services until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(run_informer(self._store, SERVICES, self._service_changed))
                tasks.create_task(run_informer(self._store, PODS, self._pod_changed))
                async for proxied in self._queue:
                    await self._sync(proxied)
        finally:
            for by_name in self._services.values():
                for proxied in by_name.values():
                    self._drop(proxied)
            for proxy in self._draining:
                proxy.close()

    def _service_changed(self, change: Change) -> None:
        service = change.new or change.old or {}
        namespace, name = namespace_of(service), service["metadata"]["name"]
        by_name = self._services.setdefault(namespace, {})
        if change.new is None:
            self._addresses.release(service)
            if name in by_name:
                self._drop(by_name.pop(name))
            return
        proxied = by_name.setdefault(name, ProxiedService(service))
        proxied.backends.service = service
        for pod in self._store.list(PODS, namespace):
            proxied.backends.consider(pod, deleted=False)
        self._queue.add(proxied)

    def _pod_changed(self, change: Change) -> None:
        pod = change.new or change.old or {}
        for proxied in self._services.get(namespace_of(pod), {}).values():
            if proxied.backends.consider(pod, deleted=change.new is None):
                self._queue.add(proxied)

    async def _sync(self, proxied: ProxiedService) -> None:
        """Open the ports of a Service, close ports that it no longer has, and publish its names."""
        if proxied.dropped.is_set():
            return
        for number in proxied.proxies.keys() - proxied.ports().keys():
            self._drain([proxied.proxies.pop(number)])
        for port in proxied.spec.get("ports") or ():
            if port.get("protocol", "TCP") != "TCP":
                self._warn(proxied, f"port {port['port']} is not served: dask-k8s-local supports TCP only")
        for number, port in proxied.ports().items():
            if number not in proxied.proxies:
                proxied.proxies[number] = Proxy(partial(proxied.backends.of_port, number))
            if not proxied.backends.expected():
                proxied.proxies[number].refuse()
            else:
                await self._listen(proxied, port)
        if proxied.dropped.is_set():  # meanwhile
            self._drop(proxied)
        else:
            self._publish(proxied)

    async def _listen(self, proxied: ProxiedService, port: Mapping[str, Any]) -> None:
        """Listen at the places of a port and leave others: an edited Service keeps its connections."""
        proxy = proxied.proxies[port["port"]]
        places = self._places(proxied, port)
        for place in proxy.places - places:
            proxy.leave(*place)
        for address, number in sorted(places - proxy.places):
            try:
                await proxy.listen(address, number)
            except OSError as error:
                self._warn(proxied, f"cannot listen at {address}:{number}: {error_text(error)}")

    def _places(self, proxied: ProxiedService, port: Mapping[str, Any]) -> set[Place]:
        """Return the addresses and ports at which a port of a Service can be reached."""
        places = {(proxied.spec["clusterIP"], port["port"])}
        if node_port := port.get("nodePort"):
            places |= {(_LOCALHOST, node_port), (self._addresses.block.node, node_port)}
        return places

    def _warn(self, proxied: ProxiedService, message: str) -> None:
        self._recorder.record(proxied.backends.service, "Warning", "FailedToListen", message)

    def _publish(self, proxied: ProxiedService) -> None:
        """Publish the DNS names of a Service and remove old ones."""
        desired = {} if proxied.dropped.is_set() else proxied.backends.names()
        for name in proxied.names - desired.keys():
            self._dns.set(namespace_of(proxied.backends.service), name, [])
        for name, addresses in desired.items():
            self._dns.set(namespace_of(proxied.backends.service), name, addresses)
        proxied.names = {*desired}

    def _drop(self, proxied: ProxiedService) -> None:
        proxied.dropped.set()
        self._publish(proxied)
        self._drain(proxied.proxies.values())

    def _drain(self, proxies: Collection[Proxy]) -> None:
        """Stop listening, and keep open connections, as a real Service does."""
        for proxy in proxies:
            proxy.refuse()
        self._draining = {proxy for proxy in (*self._draining, *proxies) if proxy.busy}
