"""How to reach a scheduler from where we are: its name, a node, a load balancer, or a port-forward.

Which of them is decided in `ways`.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World
from dask_k8s_client.api.resources import NODES, SERVICES, Among
from dask_k8s_client.api.watching import until
from dask_k8s_client.connection import ways
from dask_k8s_client.connection.portforward import PortForward
from dask_k8s_client.connection.tunnels import COMM, DASHBOARD, ready_pod, to_scheduler
from dask_k8s_client.connection.ways import Way
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.refusals import doing
from dask_k8s_client.waiting.observed import node_addresses, service_port
from dask_k8s_client.waiting.progress import Progress
from dask_k8s_crds import names

T = TypeVar("T")

_RETRY = 0.2


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a scheduler."""

    address: str
    dashboard_host: str
    dashboard_port: int
    forwards: tuple[PortForward, ...] = ()
    hint: str = ""
    """What to try if nobody answers there."""
    may_move: bool = False
    """A new scheduler, or a new service, may be elsewhere."""

    async def close(self) -> None:
        """Stop forwarding."""
        await asyncio.gather(*(each.close() for each in self.forwards))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the way should be like."""

    connect: ways.Connect = Way.AUTO
    comm_port: int = 0
    """Local port of a forwarded scheduler; 0: any."""
    dashboard_port: int = 0
    """Local port of a forwarded dashboard; 0: any."""


async def route(api: Api, cluster: JSON, wanted: Wanted, progress: Progress) -> Route:
    """Find the way; the scheduler must be ready.

    Raises:
        ValueError: there is no such way to it.
        ConnectionError: it leads nowhere.
    """
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    way = ways.choose(wanted.connect, cluster, in_cluster=api.access.in_cluster)
    progress.step("looking for a way to the scheduler")
    with doing(f"reach the scheduler of the cluster {name} in the namespace {namespace}"):
        match way:
            case ways.Address():
                return _by_address(cluster, way)
            case Way.SERVICE:
                return await _by_name(api, cluster)
            case Way.NODE_PORT:
                return await _by_node(api, cluster, progress)
            case Way.LOAD_BALANCER:
                return await _by_load_balancer(api, cluster, progress)
            case _:
                progress.step("forwarding the scheduler's ports")
                service = await api.get(SERVICES, namespace, names.scheduler(name))
                return await _forwarded(api, cluster, service, wanted)


def _by_address(cluster: JSON, address: ways.Address) -> Route:
    """The dashboard is taken to be at the same host, on the service's port."""
    port = service_port({"spec": ways.service(cluster)}, DASHBOARD, "port", names.DASHBOARD_PORT)
    return Route(address.url, _in_url(address.host), port, hint=ways.INSTEAD)


async def _by_name(api: Api, cluster: JSON) -> Route:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    status = cluster.get("status") or {}
    address = status.get("schedulerAddress") or names.scheduler_address(name, namespace)
    dashboard = urlsplit(status.get("dashboardAddress") or names.dashboard_address(name, namespace))
    # Inside, a name that is new may take its time; outside it will not come.
    if not api.access.in_cluster:
        host = urlsplit(address).hostname
        try:
            await asyncio.get_running_loop().getaddrinfo(host, None)
        except OSError as error:
            raise ConnectionError(
                f"the scheduler's service is known as {host} inside Kubernetes, but not here ({error}); "
                f"{ways.INSTEAD}"
            ) from error
    return Route(address, dashboard.hostname or "", dashboard.port or names.DASHBOARD_PORT, hint=ways.INSTEAD)


async def _by_node(api: Api, cluster: JSON, progress: Progress) -> Route:
    """Through the node that the scheduler runs on: it serves the port whatever the traffic policy is."""

    def opened(service: JSON) -> int | None:
        return service_port(service, COMM, "nodePort", 0) or None

    progress.step("waiting for the port of the scheduler's service on the nodes", ways.INSTEAD)
    service, port = await _service(api, cluster, opened)
    pod = await ready_pod(api, cluster)
    node = None
    with suppress(ApiError):  # who may not read nodes has to do with what the pod says
        node = await api.get(NODES, None, pod["spec"]["nodeName"])
    hosts = node_addresses(pod, node)
    if not hosts:
        raise ConnectionError(f"the scheduler's node has no address; {ways.INSTEAD}")
    where = " or ".join(f"{_in_url(each)}:{port}" for each in hosts)
    progress.step(f"waiting for the scheduler's node to answer at {where}", ways.INSTEAD)
    host = _in_url(await _first_open(hosts, port))
    dashboard = service_port(service, DASHBOARD, "nodePort", 0)
    return Route(f"tcp://{host}:{port}", host, dashboard, hint=ways.INSTEAD, may_move=True)


async def _by_load_balancer(api: Api, cluster: JSON, progress: Progress) -> Route:
    def balanced(service: JSON) -> list[str] | None:
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        return [host for each in ingress if (host := each.get("hostname") or each.get("ip"))] or None

    metadata = cluster["metadata"]
    name = names.scheduler(metadata["name"])
    progress.step(
        "waiting for the address of the scheduler's load balancer",
        f"`kubectl describe service {name} -n {metadata['namespace']}` says more; {ways.INSTEAD}",
    )
    service, hosts = await _service(api, cluster, balanced)
    port = service_port(service, COMM, "port", names.SCHEDULER_PORT)
    where = " or ".join(f"{_in_url(each)}:{port}" for each in hosts)
    progress.step(f"waiting for the scheduler's load balancer to answer at {where}", ways.INSTEAD)
    host = _in_url(await _first_open(hosts, port))
    dashboard = service_port(service, DASHBOARD, "port", names.DASHBOARD_PORT)
    return Route(f"tcp://{host}:{port}", host, dashboard, hint=ways.INSTEAD, may_move=True)


async def _service(api: Api, cluster: JSON, accept: Callable[[JSON], T | None]) -> tuple[JSON, T]:
    """The scheduler's service, once `accept` finds in it what it looks for."""
    metadata = cluster["metadata"]
    name = names.scheduler(metadata["name"])

    def found(world: World) -> tuple[JSON, T] | None:
        accepted = accept(world[name]) if name in world else None
        return None if accepted is None else (world[name], accepted)

    return await until(api, SERVICES, metadata["namespace"], Among.named(name), found)


async def _forwarded(api: Api, cluster: JSON, service: JSON | None, wanted: Wanted) -> Route:
    tunnels = {name: to_scheduler(api, cluster, service, name) for name in (COMM, DASHBOARD)}
    # Whether we may, and whether it works at all, is asked once here, where the answer can be raised.
    async with tunnels[COMM]():
        pass
    comm, dashboard = PortForward(tunnels[COMM]), PortForward(tunnels[DASHBOARD])
    try:
        found = await dashboard.start(wanted.dashboard_port)
        address = f"tcp://127.0.0.1:{await comm.start(wanted.comm_port)}"
        return Route(address, "localhost", found, (comm, dashboard))
    except BaseException:
        await dashboard.close()
        raise


async def _first_open(hosts: Sequence[str], port: int) -> str:
    """The first of several hosts that accepts a connection; a load balancer may take its time to."""

    async def reachable(host: str) -> str:
        while True:
            with suppress(OSError):
                async with asyncio.timeout(5):
                    _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return host
            await asyncio.sleep(_RETRY)

    tasks = [asyncio.create_task(reachable(host)) for host in hosts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
