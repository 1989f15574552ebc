"""Port-forwarding: a connection to a port, and the WebSocket protocol with two channels per port."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiohttp import web

from dask_k8s_local.api.streaming.channels import Channels
from dask_k8s_local.api.streaming.stream_buffer import StreamBuffer, run_session
from dask_k8s_local.kubelet.protocol import Kubelet, Pod, PodUnavailable

_CHUNK = 2**16


class ForwardingError(Exception):
    """A connection failed; the message is sent to the client."""


async def serve(ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod, ports: Sequence[int]) -> None:
    """Connect each port to its two channels, data and error, until the last connection ends."""
    buffers = [StreamBuffer() for _ in ports]
    channels = Channels(ws, {2 * index: buffer for index, buffer in enumerate(buffers)})

    async def connect(index: int, port: int) -> None:
        data, error = 2 * index, 2 * index + 1
        with contextlib.suppress(ConnectionError):  # the client has disconnected
            try:
                await forward(kubelet, pod, port, buffers[index], partial(channels.send, data))
            except ForwardingError as failure:
                await channels.send(error, str(failure).encode())

    async def work() -> None:
        for channel in range(2 * len(ports)):
            await channels.send(channel, ports[channel // 2].to_bytes(2, "little"))
        await asyncio.gather(*map(connect, range(len(ports)), ports))

    await run_session(ws, channels.receive(), work())


async def forward(
    kubelet: Kubelet, pod: Pod, port: int, buffer: StreamBuffer, send: Callable[[bytes], Awaitable[None]]
) -> None:
    """Forward one connection until the pod closes it; raises ForwardingError and errors of `send`."""
    where = f"error forwarding port {port} to pod {pod['metadata']['uid']}, uid "
    try:
        reader, writer = await kubelet.dial(pod, port)
    except PodUnavailable as error:
        buffer.close()
        raise ForwardingError(f"{where}: {error}") from None
    upload = asyncio.create_task(_upload(buffer, writer))
    try:
        while data := await _read(reader, where):
            await send(data)
    except BaseException:
        writer.transport.abort()
        raise
    finally:
        buffer.close()
        upload.cancel()
        try:
            await asyncio.gather(upload, return_exceptions=True)
        finally:
            writer.close()  # also if this task is cancelled while the upload ends


async def _read(reader: asyncio.StreamReader, where: str) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except OSError as error:
        raise ForwardingError(f"{where}: read: {(error.strerror or str(error)).lower()}") from None


async def _upload(buffer: StreamBuffer, writer: asyncio.StreamWriter) -> None:
    """Send the client's data to the pod, and the end of the data."""
    with contextlib.suppress(OSError):  # the reader gets the same error
        async for data in buffer:
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    buffer.close()
