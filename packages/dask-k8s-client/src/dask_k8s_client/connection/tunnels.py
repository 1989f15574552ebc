"""Connections to a scheduler's pod through the Kubernetes API, whichever pod that is at the time."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

import aiohttp

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World
from dask_k8s_client.api.resources import PODS, Among
from dask_k8s_client.api.watching import until
from dask_k8s_client.connection.portforward import PROTOCOLS, Tunnel
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.waiting.observed import belongs, container_port, is_ready
from dask_k8s_crds import labels, names

logger = logging.getLogger("dask_k8s_client")

COMM, DASHBOARD = "tcp-comm", "http-dashboard"
_DEFAULTS = {COMM: names.SCHEDULER_PORT, DASHBOARD: names.DASHBOARD_PORT}

_HOPELESS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

# How long a connection through a port-forward waits for a pod; then Dask's own retry begins.
_POD_PATIENCE = 10.0
_RETRY = 0.2


def to_scheduler(api: Api, cluster: JSON, service: JSON | None, port_name: str) -> Tunnel:
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
            pod = await ready_pod(api, cluster)
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


async def ready_pod(api: Api, cluster: JSON) -> JSON:
    """The scheduler's pod, once there is one that serves."""
    metadata = cluster["metadata"]

    def newest(world: World) -> JSON | None:
        ready = [each for each in world.values() if is_ready(each) and belongs(each, metadata["uid"])]
        return max(ready, key=lambda each: each["metadata"]["creationTimestamp"], default=None)

    among = Among(labels=labels.selector(labels.scheduler(metadata["name"])))
    return await until(api, PODS, metadata["namespace"], among, newest)
