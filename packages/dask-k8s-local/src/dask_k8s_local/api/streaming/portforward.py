"""Connections to ports of a pod: one as such, and those of a WebSocket with two channels for each port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiohttp import web

from dask_k8s_local.api.streaming.channels import Channels
from dask_k8s_local.api.streaming.inbox import Inbox, converse
from dask_k8s_local.kubelet.protocol import Kubelet, Pod, PodUnavailable

_CHUNK = 2**16


class Broken(Exception):
    """A connection failed; the message is what the client gets."""


async def serve(ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod, ports: Sequence[int]) -> None:
    """Connect each port to its two channels, data and error; ends with the last connection."""
    inboxes = [Inbox() for _ in ports]
    channels = Channels(ws, {2 * index: inbox for index, inbox in enumerate(inboxes)})

    async def connect(index: int, port: int) -> None:
        data, error = 2 * index, 2 * index + 1
        with contextlib.suppress(ConnectionError):  # the client has gone
            try:
                await forward(kubelet, pod, port, inboxes[index], partial(channels.send, data))
            except Broken as broken:
                await channels.send(error, str(broken).encode())

    async def work() -> None:
        for channel in range(2 * len(ports)):
            await channels.send(channel, ports[channel // 2].to_bytes(2, "little"))
        await asyncio.gather(*map(connect, range(len(ports)), ports))

    await converse(ws, channels.receive(), work())


async def forward(
    kubelet: Kubelet, pod: Pod, port: int, inbox: Inbox, send: Callable[[bytes], Awaitable[None]]
) -> None:
    """Carry one connection until the pod ends it; raises Broken, and ConnectionError if `send` does."""
    where = f"error forwarding port {port} to pod {pod['metadata']['uid']}, uid "
    try:
        reader, writer = await kubelet.dial(pod, port)
    except PodUnavailable as error:
        inbox.close()
        raise Broken(f"{where}: {error}") from None
    upload = asyncio.create_task(_upload(inbox, writer))
    try:
        while data := await _read(reader, where):
            await send(data)
    except BaseException:
        writer.transport.abort()
        raise
    finally:
        inbox.close()
        upload.cancel()
        try:
            await asyncio.gather(upload, return_exceptions=True)
        finally:
            writer.close()  # also when we are cancelled while the upload ends


async def _read(reader: asyncio.StreamReader, where: str) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except OSError as error:
        raise Broken(f"{where}: read: {(error.strerror or str(error)).lower()}") from None


async def _upload(inbox: Inbox, writer: asyncio.StreamWriter) -> None:
    """Pass on what the client sends and, if it says so, that it has finished."""
    with contextlib.suppress(OSError):  # whoever reads finds out, too
        async for data in inbox:
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    inbox.close()
