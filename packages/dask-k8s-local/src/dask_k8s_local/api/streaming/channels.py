"""The protocols `v4.channel.k8s.io` and `v5`: each WebSocket message begins with the number of a channel."""

from collections.abc import Mapping

from aiohttp import WSMsgType, web

from dask_k8s_local.api.streaming.stream_buffer import StreamBuffer, deliver

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
_CLOSE = 255
"""In v5: closes the channel in the next byte."""


class Channels:
    """The server's side of the channels."""

    def __init__(self, ws: web.WebSocketResponse, buffers: Mapping[int, StreamBuffer]) -> None:
        self._ws = ws
        self._buffers = buffers

    async def send(self, channel: int, data: bytes) -> None:
        """Send on a channel."""
        await self._ws.send_bytes(bytes((channel,)) + data)

    async def receive(self) -> None:
        """Receive data until the client disconnects."""
        async for message in self._ws:
            if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT} or len(message.data) < 2:
                continue  # a channel without bytes
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            channel, data = data[0], data[1:]
            if channel == _CLOSE and self._ws.ws_protocol == V5:
                channel, data = data[0], b""
            if buffer := self._buffers.get(channel):
                await deliver(self._ws, buffer, data)
        for buffer in self._buffers.values():
            buffer.end()
