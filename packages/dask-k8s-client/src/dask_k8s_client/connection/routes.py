"""Routes to a scheduler: through its service's name, a node, a load balancer or a port-forward."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from dask_k8s_client.api.requests import Api, Objects, Selector
from dask_k8s_client.api.watching import until
from dask_k8s_client.arguments import JSON
from dask_k8s_client.connection.connect_modes import PORT_FORWARD_HINT, Address, Connect, ConnectMode
from dask_k8s_client.connection.portforward import PortForward, ready_pod, scheduler_tunnel
from dask_k8s_client.exceptions import explaining
from dask_k8s_client.observed import located, node_addresses
from dask_k8s_client.progress import Progress
from dask_k8s_client.waiting import RETRY_SECONDS
from dask_k8s_crds import names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import NODES, SERVICES
from dask_k8s_crds.scheduler_ports import COMM, DASHBOARD, Role, SchedulerPorts

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a scheduler and its dashboard."""

    address: str
    dashboard_host: str
    dashboard_port: int
    dashboard_prefix: str | None = ""
    """The path before that of each page of the dashboard; None if the scheduler has no dashboard."""
    forwards: tuple[PortForward, ...] = ()
    hint: str = ""
    """What to try if nothing answers there."""
    may_change: bool = False
    """Whether a new scheduler or service may have another address."""

    async def close(self) -> None:
        """Stop the port-forwards."""
        await asyncio.gather(*(each.close() for each in self.forwards))


class LocalPorts(NamedTuple):
    """The local ports of a port-forward; 0: any free one."""

    comm: int = 0
    dashboard: int = 0


async def find_route(api: Api, cluster: JSON, mode: Connect, progress: Progress, ports: LocalPorts) -> Route:
    """Find the route to a scheduler that is ready, or raise a ConnectionError; `mode` is not ``AUTO``."""
    ports_of_scheduler = _ports(cluster)
    prefix = ports_of_scheduler.prefix if ports_of_scheduler.has_dashboard else None
    return replace(await _find_route(api, cluster, mode, progress, ports), dashboard_prefix=prefix)


async def _find_route(api: Api, cluster: JSON, mode: Connect, progress: Progress, ports: LocalPorts) -> Route:
    progress.step("looking for a way to the scheduler")
    with explaining(f"reach the scheduler of the cluster {located(cluster)}"):
        match mode:
            case Address():
                return _by_address(cluster, mode)
            case ConnectMode.SERVICE:
                return await _by_service_name(api, cluster)
            case ConnectMode.NODE_PORT:
                return await _by_node(api, cluster, progress)
            case ConnectMode.LOAD_BALANCER:
                return await _by_load_balancer(api, cluster, progress)
            case _:
                progress.step("forwarding the scheduler's ports")
                return await _by_port_forward(api, cluster, ports)


def _by_address(cluster: JSON, address: Address) -> Route:
    """Expect the dashboard on the same host, on the service's port."""
    port = _service_port(cluster, DASHBOARD)
    return Route(address.url, _in_url(address.host), port, hint=PORT_FORWARD_HINT)


async def _by_service_name(api: Api, cluster: JSON) -> Route:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    status = cluster.get("status") or {}
    address = status.get("schedulerAddress") or names.scheduler_address(name, namespace)
    # Inside the cluster a new name may take a moment to resolve; outside it never will.
    if not api.access.in_cluster:
        host = urlsplit(address).hostname
        try:
            await asyncio.get_running_loop().getaddrinfo(host, None)
        except OSError as error:
            problem = f"the scheduler's service is known as {host} inside Kubernetes, but not here ({error})"
            raise ConnectionError(f"{problem}; {PORT_FORWARD_HINT}") from error
    host = _in_url(urlsplit(address).hostname or "")
    return Route(address, host, _service_port(cluster, DASHBOARD), hint=PORT_FORWARD_HINT)


async def _by_node(api: Api, cluster: JSON, progress: Progress) -> Route:
    """Go through the node that the scheduler runs on: it serves the port under any traffic policy."""
    progress.step("waiting for the port of the scheduler's service on the nodes", PORT_FORWARD_HINT)
    ports = _ports(cluster)
    service, port = await _service(api, cluster, lambda it: ports.service_port(COMM, it["spec"], "nodePort"))
    pod = await ready_pod(api, cluster)
    node = None
    with suppress(ApiError):  # without the permission to read nodes, the pod's own status is used
        node = await api.get(NODES, None, pod["spec"]["nodeName"])
    hosts = node_addresses(pod, node)
    if not hosts:
        raise ConnectionError(f"the scheduler's node has no address; {PORT_FORWARD_HINT}")
    host = await _first_reachable(hosts, port, "node", progress)
    return _external_route(host, port, ports.service_port(DASHBOARD, service["spec"], "nodePort") or 0)


async def _by_load_balancer(api: Api, cluster: JSON, progress: Progress) -> Route:
    def ingress_hosts(service: JSON) -> list[str] | None:
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        return [host for each in ingress if (host := each.get("hostname") or each.get("ip"))] or None

    metadata = cluster["metadata"]
    name = names.scheduler(metadata["name"])
    progress.step(
        "waiting for the address of the scheduler's load balancer",
        f"`kubectl describe service {name} -n {metadata['namespace']}` says more; {PORT_FORWARD_HINT}",
    )
    _, hosts = await _service(api, cluster, ingress_hosts)
    port = _service_port(cluster, COMM)
    host = await _first_reachable(hosts, port, "load balancer", progress)
    return _external_route(host, port, _service_port(cluster, DASHBOARD))


def _ports(cluster: JSON) -> SchedulerPorts:
    return SchedulerPorts.of(cluster["spec"]["scheduler"]["spec"])


def _service_port(cluster: JSON, role: Role) -> int:
    return _ports(cluster).service_port(role, cluster["spec"]["scheduler"]["service"]) or role.default


def _external_route(host: str, port: int, dashboard_port: int) -> Route:
    address = f"tcp://{names.host_port(host, port)}"
    return Route(address, _in_url(host), dashboard_port, hint=PORT_FORWARD_HINT, may_change=True)


async def _by_port_forward(api: Api, cluster: JSON, ports: LocalPorts) -> Route:
    tunnel = scheduler_tunnel(api, cluster, COMM)
    # Try one connection now, so that a missing permission raises an exception here.
    async with tunnel():
        pass
    comm, dashboard = PortForward(tunnel), PortForward(scheduler_tunnel(api, cluster, DASHBOARD))
    try:
        dashboard_port = await dashboard.start(ports.dashboard)
        address = f"tcp://127.0.0.1:{await comm.start(ports.comm)}"
        return Route(address, "localhost", dashboard_port, forwards=(comm, dashboard))
    except BaseException:
        await dashboard.close()
        raise


async def _service(api: Api, cluster: JSON, accept: Callable[[JSON], T | None]) -> tuple[JSON, T]:
    """Wait until `accept` finds what it looks for in the scheduler's service; return both."""
    metadata = cluster["metadata"]
    name = names.scheduler(metadata["name"])

    def accepted(objects: Objects) -> tuple[JSON, T] | None:
        result = accept(objects[name]) if name in objects else None
        return None if result is None else (objects[name], result)

    return await until(api, SERVICES, metadata["namespace"], Selector.named(name), accepted)


async def _first_reachable(hosts: Sequence[str], port: int, what: str, progress: Progress) -> str:
    """Wait for the first host that accepts a connection, and return it."""
    where = " or ".join(names.host_port(each, port) for each in hosts)
    progress.step(f"waiting for the scheduler's {what} to answer at {where}", PORT_FORWARD_HINT)

    async def connect(host: str) -> str:
        while True:
            with suppress(OSError):
                async with asyncio.timeout(5):
                    _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return host
            await asyncio.sleep(RETRY_SECONDS)

    tasks = [asyncio.create_task(connect(host)) for host in hosts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
