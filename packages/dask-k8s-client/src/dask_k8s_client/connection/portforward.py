"""Port-forwards: a local TCP port whose connections end in a pod, through a WebSocket of the Kubernetes API.

Each accepted connection has a WebSocket of its own. So a connection that breaks does not affect others, and
the next one goes to the pod that is ready then. The first byte of each message is its channel: data or error.
The first message on a channel contains the port number. The protocol has no half-close: after writing, we can
only end the whole connection, so when the local side has finished we wait for the answer first.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus

import aiohttp

from dask_k8s_client.api.requests import Api, Objects
from dask_k8s_client.api.watching import until
from dask_k8s_client.arguments import JSON
from dask_k8s_client.observed import is_owned, is_ready, scheduler_of, scheduler_pods_of
from dask_k8s_client.waiting import RETRY_SECONDS
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import PODS
from dask_k8s_crds.scheduler_ports import Role, SchedulerPorts

logger = logging.getLogger("dask_k8s_client")

PROTOCOLS = ("v4.channel.k8s.io", "portforward.k8s.io")
Tunnel = Callable[[], AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]]
"""Opens the WebSocket of a port-forward to a pod that is ready."""
_PERMANENT_STATUSES = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CONNECT_SECONDS = 10.0
"""How long a connection waits for a pod that is ready; then Dask's own retries begin."""

_DATA, _ERROR = 0, 1
_CHUNK_BYTES = 2**18
_LINGER_SECONDS = 1.0
"""How long a pod may be silent after the local side has finished writing."""
_NORMAL_CLOSE_CODES = (1000, 1005)
_ACCEPT_RETRY_SECONDS = 1.0
"""The wait after a failed accept, for example because this process has too many files open."""
_RESET_ON_CLOSE = struct.pack("HH" if os.name == "nt" else "ii", 1, 0)
"""Has close send a reset: half an answer must not look like a complete one."""


class PortForward:
    """A listener on the loopback interface that forwards each connection through a tunnel."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Listen, and return the port; 0 chooses a free one."""
        self._listener = listener = socket.create_server(("127.0.0.1", port), backlog=100)
        listener.setblocking(False)  # noqa: FBT003  # its only argument
        self._accepting = asyncio.create_task(self._accept(listener))
        return int(listener.getsockname()[1])

    async def close(self) -> None:
        """Stop listening and close all connections."""
        tasks = [*self._connections, *filter(None, [self._accepting])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:
                logger.info("cannot accept a connection to forward: %s", error)
                await asyncio.sleep(_ACCEPT_RETRY_SECONDS)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = asyncio.create_task(self._serve(sock))
            self._connections.add(connection)
            connection.add_done_callback(partial(self._ended, sock))

    def _ended(self, sock: socket.socket, connection: asyncio.Task[None]) -> None:
        self._connections.discard(connection)
        sock.close()

    async def _serve(self, sock: socket.socket) -> None:
        finished = False
        try:
            async with self._tunnel() as ws:
                finished = await _Relay(sock, ws).run()
        except Exception as error:  # noqa: BLE001  # it ends this connection only, and the peer reconnects
            logger.info("forwarded connection lost: %s", str(error) or type(error).__name__)
        finally:
            if not finished:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


class _Relay:
    """Copies one connection in both directions until either side ends it."""

    def __init__(self, sock: socket.socket, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._ws = ws
        self._received = 0

    async def run(self) -> bool:
        """Copy until the end, and return whether that was a normal close."""
        down = asyncio.create_task(self._download())
        up = asyncio.create_task(self._upload())
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            before = -1
            while not down.done() and self._received != before:
                before = self._received
                await asyncio.wait({down}, timeout=_LINGER_SECONDS)
            if down.done():
                return down.result()
            up.result()
            return True
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    # Both directions use the socket directly: asyncio's streams would copy each byte twice more.

    async def _upload(self) -> None:
        message = memoryview(bytearray(1 + _CHUNK_BYTES))  # the first byte remains the channel
        message[0] = _DATA
        while count := await self._loop.sock_recv_into(self._sock, message[1:]):
            await self._ws.send_bytes(message[: 1 + count])  # type: ignore[arg-type]  # aiohttp accepts any buffer
            await asyncio.sleep(0)  # neither of the calls above may have yielded to the loop

    async def _download(self) -> bool:
        announced: set[int] = set()
        async for message in self._ws:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel = message.data[0]
            if channel not in announced:
                announced.add(channel)
            elif channel == _DATA:
                self._received += 1
                await self._loop.sock_sendall(self._sock, memoryview(message.data)[1:])
            elif channel == _ERROR:
                raise ConnectionError(message.data[1:].decode(errors="replace").strip())
        return self._ws.close_code in _NORMAL_CLOSE_CODES


def scheduler_tunnel(api: Api, cluster: JSON, role: Role) -> Tunnel:
    """Return a tunnel to a port of the scheduler; each use connects to the pod that is ready then."""
    namespace = cluster["metadata"]["namespace"]

    @asynccontextmanager
    async def tunnel() -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    ws = await enter(stack)
            except TimeoutError:
                message = f"no scheduler could be reached within {_CONNECT_SECONDS:.0f} s"
                raise ConnectionError(message) from None
            yield ws

    async def enter(stack: AsyncExitStack) -> aiohttp.ClientWebSocketResponse:
        while True:
            pod = await ready_pod(api, cluster)
            port = SchedulerPorts.of(pod["spec"]).container_port(
                role, cluster["spec"]["scheduler"]["service"]
            )
            path = PODS.path(namespace, pod["metadata"]["name"], "portforward")
            try:
                return await stack.enter_async_context(api.websocket(path, {"ports": str(port)}, PROTOCOLS))
            except (ApiError, ConnectionError) as error:
                if isinstance(error, ApiError) and error.status in _PERMANENT_STATUSES:
                    raise
                # The pod was deleted in the meantime, or its node does not answer.
                logger.debug("no way to the pod: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    return tunnel


async def ready_pod(api: Api, cluster: JSON) -> JSON:
    """Wait until the scheduler is ready, and return its pod."""
    metadata = cluster["metadata"]

    def ready(objects: Objects) -> JSON | None:
        scheduler = scheduler_of(each for each in objects.values() if is_owned(each, metadata["uid"]))
        return scheduler if scheduler is not None and is_ready(scheduler) else None

    return await until(api, PODS, metadata["namespace"], scheduler_pods_of(cluster), ready)
