"""Bytes on their way from a WebSocket to one stream, and the life of the WebSocket. Knows no protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine

from aiohttp import web

_CHUNKS = 16
# How often a client is looked for while nobody reads what it sends.
_PROBE_SECONDS = 10.0
# How long what a client sent last may take to arrive where it was sent.
_GRACE_SECONDS = 1.0


class Inbox:
    """What came for a stream and nobody took yet. It is small: who puts waits for who takes."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = asyncio.Semaphore(_CHUNKS)
        self._open = True

    async def put(self, data: bytes) -> None:
        """Add bytes."""
        if self._open:
            await self._room.acquire()
        if self._open:
            self._chunks.put_nowait(data)

    def end(self) -> None:
        """Say that nothing more comes."""
        if self._open:
            self._open = False
            self._chunks.put_nowait(b"")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what comes, until the end."""
        while data := await self._chunks.get():
            self._room.release()
            yield data

    def close(self) -> None:
        """Say that nobody takes any more: what comes is thrown away."""
        self._open = False
        self._room.release()


async def deliver(ws: web.WebSocketResponse, inbox: Inbox, data: bytes) -> None:
    """Put what a client sent, or its end; raises ConnectionError if the client goes while this waits."""
    if not data:
        inbox.end()
    while data:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await inbox.put(data)
                return
        except TimeoutError:
            await ws.ping()


async def converse(
    ws: web.WebSocketResponse, receive: Coroutine[None, None, None], work: Coroutine[None, None, None]
) -> None:
    """Work while the client is there, then close; when this returns, neither coroutine runs."""
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
