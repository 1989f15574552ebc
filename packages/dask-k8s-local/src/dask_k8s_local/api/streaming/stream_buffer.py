"""Buffers between a WebSocket and one stream, and the lifetime of a WebSocket session. Knows no protocol."""

import asyncio
from collections.abc import AsyncIterator, Coroutine

from aiohttp import web

_CHUNKS = 16
"""Chunks in a buffer; then the sender waits."""
_PROBE_SECONDS = 10.0
"""Seconds between pings to a client whose data nobody reads."""
_GRACE_SECONDS = 1.0
"""Seconds to deliver the last data of a client that has disconnected."""


class StreamBuffer:
    """Bytes received for a stream; `put` waits while the buffer is full."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = asyncio.Semaphore(_CHUNKS)
        self._open = True

    async def put(self, data: bytes) -> None:
        """Add bytes; wait while the buffer is full."""
        if self._open:
            await self._room.acquire()
        if self._open:
            self._chunks.put_nowait(data)

    def end(self) -> None:
        """Mark the end of the data."""
        if self._open:
            self._open = False
            self._chunks.put_nowait(b"")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield chunks until the end."""
        while data := await self._chunks.get():
            self._room.release()
            yield data

    def close(self) -> None:
        """Discard everything that is added from now on."""
        self._open = False
        self._room.release()


async def deliver(ws: web.WebSocketResponse, buffer: StreamBuffer, data: bytes) -> None:
    """Add data of a client, or its end; raises ConnectionError if the client disconnects meanwhile."""
    if not data:
        buffer.end()
    while data:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await buffer.put(data)
                return
        except TimeoutError:
            await ws.ping()


async def run_session(
    ws: web.WebSocketResponse, receive: Coroutine[None, None, None], work: Coroutine[None, None, None]
) -> None:
    """Run both coroutines until one ends, then stop both and close the WebSocket."""
    receiving, working = asyncio.create_task(receive), asyncio.create_task(work)
    try:
        await asyncio.wait({receiving, working}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=_GRACE_SECONDS)
    finally:
        receiving.cancel()
        working.cancel()
        results = await asyncio.gather(receiving, working, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result
    await ws.close()
