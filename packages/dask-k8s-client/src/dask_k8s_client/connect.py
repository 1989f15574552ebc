"""How to reach a scheduler from where we are: its name, a node, a load balancer, or a port-forward."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp

from dask_k8s_client.api import Api, World
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.observed import belongs, container_port, is_ready, service_port
from dask_k8s_client.portforward import PROTOCOLS, PortForward, Tunnel
from dask_k8s_client.progress import Progress
from dask_k8s_client.refusals import explained
from dask_k8s_client.resources import PODS, SERVICES, Among
from dask_k8s_client.specs import JSON
from dask_k8s_client.watching import until
from dask_k8s_crds import labels, names

logger = logging.getLogger("dask_k8s_client")

COMM, DASHBOARD = "tcp-comm", "http-dashboard"
_DEFAULTS = {COMM: names.SCHEDULER_PORT, DASHBOARD: names.DASHBOARD_PORT}

_HOPELESS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

# How long a connection through a port-forward waits for a pod; then Dask's own retry begins.
_POD_PATIENCE = 10.0
_RETRY = 0.2


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a scheduler."""

    address: str
    dashboard_host: str
    dashboard_port: int
    forwards: tuple[PortForward, ...] = ()

    async def close(self) -> None:
        """Stop forwarding."""
        await asyncio.gather(*(each.close() for each in self.forwards))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the way should be like."""

    port_forward: bool | None = None
    """None: if we are outside Kubernetes and there is no other way."""
    comm_port: int = 0
    """Local port of a forwarded scheduler; 0: any."""
    dashboard_port: int = 0
    """Local port of a forwarded dashboard; 0: any."""


async def route(api: Api, cluster: JSON, wanted: Wanted, progress: Progress) -> Route:
    """Find the way; the scheduler must be ready."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    if wanted.port_forward is False or (wanted.port_forward is None and api.access.in_cluster):
        return _by_name(cluster)
    progress.step("looking for a way to the scheduler")
    try:
        service = await api.get(SERVICES, namespace, names.scheduler(name))
        if wanted.port_forward is None and service is not None:
            match service["spec"].get("type"):
                case "NodePort":
                    return await _by_node(api, cluster, service)
                case "LoadBalancer":
                    progress.step("waiting for the address of the scheduler's load balancer")
                    return await _by_load_balancer(api, namespace, service)
        progress.step("forwarding the scheduler's ports")
        return await _forwarded(api, cluster, service, wanted)
    except ApiError as error:
        raise explained(
            error, f"reach the scheduler of the cluster {name} in the namespace {namespace}"
        ) from error


def _by_name(cluster: JSON) -> Route:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    status = cluster.get("status") or {}
    dashboard = urlsplit(status.get("dashboardAddress") or names.dashboard_address(name, namespace))
    return Route(
        status.get("schedulerAddress") or names.scheduler_address(name, namespace),
        dashboard.hostname or "",
        dashboard.port or names.DASHBOARD_PORT,
    )


async def _by_node(api: Api, cluster: JSON, service: JSON) -> Route:
    """Through the node that the scheduler runs on: it serves the port whatever the traffic policy is."""
    pod = await _ready_pod(api, cluster)
    hosts = [each["ip"] for each in pod["status"].get("hostIPs") or () if each.get("ip")]
    if not hosts and pod["status"].get("hostIP"):
        hosts = [pod["status"]["hostIP"]]
    port = service_port(service, COMM, "nodePort", 0)
    host = await _first_open(hosts, port)
    return Route(
        f"tcp://{_in_url(host)}:{port}", _in_url(host), service_port(service, DASHBOARD, "nodePort", 0)
    )


async def _by_load_balancer(api: Api, namespace: str, service: JSON) -> Route:
    name = service["metadata"]["name"]

    def balanced(world: World) -> list[str] | None:
        status = (world[name].get("status") or {}) if name in world else {}
        ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
        return [each.get("hostname") or each["ip"] for each in ingress] or None

    hosts = await until(api, SERVICES, namespace, Among.named(name), balanced)
    port = service_port(service, COMM, "port", names.SCHEDULER_PORT)
    host = await _first_open(hosts, port)
    return Route(
        f"tcp://{_in_url(host)}:{port}",
        _in_url(host),
        service_port(service, DASHBOARD, "port", names.DASHBOARD_PORT),
    )


async def _forwarded(api: Api, cluster: JSON, service: JSON | None, wanted: Wanted) -> Route:
    tunnels = {name: _tunnel(api, cluster, service, name) for name in (COMM, DASHBOARD)}
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


def _tunnel(api: Api, cluster: JSON, service: JSON | None, port_name: str) -> Tunnel:
    """Every time to the pod that is ready then."""
    namespace = cluster["metadata"]["namespace"]

    @asynccontextmanager
    async def tunnel() -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_POD_PATIENCE):
                    ws = await enter(stack)
            except TimeoutError:
                late = f"no scheduler could be reached within {_POD_PATIENCE:.0f} s"
                raise ConnectionError(late) from None
            yield ws

    async def enter(stack: AsyncExitStack) -> aiohttp.ClientWebSocketResponse:
        while True:
            pod = await _ready_pod(api, cluster)
            port = container_port(service, pod, port_name, _DEFAULTS[port_name])
            path = PODS.path(namespace, pod["metadata"]["name"], "portforward")
            try:
                return await stack.enter_async_context(api.websocket(path, {"ports": str(port)}, PROTOCOLS))
            except (ApiError, ConnectionError) as error:
                if isinstance(error, ApiError) and error.status in _HOPELESS:
                    raise
                # The pod went between two requests, or its node does not answer.
                logger.debug("no way to the pod: %s", error)
            await asyncio.sleep(_RETRY)

    return tunnel


async def _ready_pod(api: Api, cluster: JSON) -> JSON:
    metadata = cluster["metadata"]

    def newest(world: World) -> JSON | None:
        ready = [each for each in world.values() if is_ready(each) and belongs(each, metadata["uid"])]
        return max(ready, key=lambda each: each["metadata"]["creationTimestamp"], default=None)

    among = Among(labels=labels.selector(labels.scheduler(metadata["name"])))
    return await until(api, PODS, metadata["namespace"], among, newest)


async def _first_open(hosts: Sequence[str], port: int) -> str:
    """The first of several hosts that accepts a connection; a load balancer may take its time to."""
    if not hosts:
        raise ConnectionError("the scheduler's node has no address")

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
