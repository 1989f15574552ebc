"""A WebSocket whose messages begin with the number of a channel: `v4.channel.k8s.io` and `v5`."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import WSMsgType, web

from dask_k8s_local.api.streaming.inbox import Inbox, deliver

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
_CLOSE = 255  # in v5; the next byte says which channel


class Channels:
    """The server's end."""

    def __init__(self, ws: web.WebSocketResponse, inboxes: Mapping[int, Inbox]) -> None:
        self._ws = ws
        self._inboxes = inboxes

    async def send(self, channel: int, data: bytes) -> None:
        """Send on a channel."""
        await self._ws.send_bytes(bytes((channel,)) + data)

    async def receive(self) -> None:
        """Take what the client sends, until it has gone."""
        async for message in self._ws:
            if message.type not in {WSMsgType.BINARY, WSMsgType.TEXT} or len(message.data) < 2:
                continue  # a channel without bytes
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            channel, data = data[0], data[1:]
            if channel == _CLOSE and self._ws.ws_protocol == V5:
                channel, data = data[0], b""
            if inbox := self._inboxes.get(channel):
                await deliver(self._ws, inbox, data)
        for inbox in self._inboxes.values():
            inbox.end()
