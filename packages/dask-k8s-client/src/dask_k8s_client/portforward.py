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


class PortForward:
    """Listens on this machine, on loopback only."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_CHUNK)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)

        def end(connection: asyncio.Task[None]) -> None:
            self._connections.discard(connection)
            writer.transport.abort()  # for one that was cancelled before it began; others are closed by now

        connection.add_done_callback(end)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        finished = False
        try:
            async with self._tunnel() as ws:
                finished = await _Relay(reader, writer, ws).run()
        except Exception as error:  # noqa: BLE001  # whatever it is, it ends one connection; its owner makes another
            logger.info("forwarded connection lost: %s", str(error) or type(error).__name__)
        finally:
            if finished:
                with suppress(OSError):
                    writer.close()
                    await writer.wait_closed()
            else:
                _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """A reset, not an end: half an answer must not look like a whole one."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH" if os.name == "nt" else "ii", 1, 0)
        )
    writer.transport.abort()


class _Relay:
    """One connection: both ways until either side ends."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ws: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._reader = reader
        self._writer = writer
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
        while data := await self._reader.read(_CHUNK):
            await self._ws.send_bytes(b"\0" + data)

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
                self._writer.write(message.data[1:])
                await self._writer.drain()
            elif channel == _ERROR:
                raise ConnectionError(message.data[1:].decode(errors="replace").strip())
        return self._ws.close_code in _NORMAL
