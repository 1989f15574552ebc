"""A local TCP port whose connections end in a pod. Knows the framing on the WebSocket, nothing of Dask.

Each accepted connection has a WebSocket of its own, so one that breaks takes nothing else along, and the next
one goes to whatever pod is there then. On the WebSocket the first byte of a message is its channel, data or
error; the first message on a channel is the number of the port. There is no way to tell the pod that we have
finished writing but to end the connection, so when the local side has finished we wait for the answer first.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial

import aiohttp

logger = logging.getLogger("dask_k8s_client")

PROTOCOLS = ("v4.channel.k8s.io", "portforward.k8s.io")
Tunnel = Callable[[], AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]]
"""Opens the WebSocket of a port-forward to a pod that is ready."""

_DATA, _ERROR = 0, 1
_CHUNK = 2**18
# How long a pod may be silent after the local side has finished writing.
_LINGER = 1.0
_NORMAL = (1000, 1005)
# After one that failed, as where this process has too many files open.
_NEXT_ACCEPT = 1.0


class PortForward:
    """Listens on this machine, on loopback only."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Listen; returns the port."""
        self._listener = listener = socket.create_server(("127.0.0.1", port), backlog=100)
        listener.setblocking(False)  # noqa: FBT003  # its only argument
        self._accepting = asyncio.create_task(self._accept(listener))
        found: int = listener.getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening and end every connection."""
        ending = [*self._connections, *filter(None, [self._accepting])]
        for each in ending:
            each.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:
                logger.info("cannot accept a connection to forward: %s", error)
                await asyncio.sleep(_NEXT_ACCEPT)
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
        except Exception as error:  # noqa: BLE001  # whatever it is, it ends one connection; its owner makes another
            logger.info("forwarded connection lost: %s", str(error) or type(error).__name__)
        finally:
            if not finished:
                _reset_on_close(sock)


def _reset_on_close(sock: socket.socket) -> None:
    """A reset, not an end: half an answer must not look like a whole one."""
    with suppress(OSError):
        sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH" if os.name == "nt" else "ii", 1, 0)
        )


class _Relay:
    """One connection: both ways until either side ends.

    On the socket itself: asyncio's streams would copy each byte twice more.
    """

    def __init__(self, sock: socket.socket, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._ws = ws
        self._received = 0

    async def run(self) -> bool:
        """Whether it ended as it should."""
        down = asyncio.create_task(self._download())
        up = asyncio.create_task(self._upload())
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            before = -1
            while not down.done() and self._received != before:
                before = self._received
                await asyncio.wait({down}, timeout=_LINGER)
            if down.done():
                return down.result()
            up.result()
            return True
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _upload(self) -> None:
        message = memoryview(bytearray(1 + _CHUNK))  # the first byte is the channel, and stays
        message[0] = _DATA
        while count := await self._loop.sock_recv_into(self._sock, message[1:]):
            await self._ws.send_bytes(message[: 1 + count])  # type: ignore[arg-type]  # as good as bytes
            await asyncio.sleep(0)  # neither of the two need have waited

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
        return self._ws.close_code in _NORMAL
