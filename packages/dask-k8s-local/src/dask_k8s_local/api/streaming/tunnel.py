"""kubectl's port-forward: SPDY/3.1 inside a WebSocket; any number of connections, each a pair of streams."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from dask_k8s_local.api.streaming import spdy
from dask_k8s_local.api.streaming.inbox import Inbox, converse, deliver
from dask_k8s_local.api.streaming.portforward import Broken, forward
from dask_k8s_local.kubelet.protocol import Kubelet, Pod

PREFIX = "SPDY/3.1+"
PROTOCOL = "portforward.k8s.io"


async def serve(ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod) -> None:
    """Connect the client to ports of the pod as it asks for them, until it goes."""
    tunnel = _Tunnel(ws, kubelet, pod)
    await converse(ws, tunnel.receive(), tunnel.run())


@dataclass
class _Pair:
    """What the client opens for one connection."""

    streams: dict[str, int] = field(default_factory=dict)  # by type: data, error
    inbox: Inbox = field(default_factory=Inbox)
    task: asyncio.Task[None] | None = None


class _Tunnel:
    def __init__(self, ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod) -> None:
        self._ws = ws
        self._kubelet = kubelet
        self._pod = pod
        self._encoder = spdy.Encoder()
        self._pairs: dict[str, _Pair] = {}  # by request
        self._data: dict[int, _Pair] = {}  # by stream
        self._last = 0
        self._gone = asyncio.Event()

    async def run(self) -> None:
        """Serve connections until the client has gone."""
        try:
            await self._gone.wait()
            await asyncio.gather(*(pair.task for pair in self._data.values() if pair.task))
        finally:
            tasks = [pair.task for pair in self._data.values() if pair.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self) -> None:
        """Take what the client sends, until it has gone."""
        decoder = spdy.Decoder()
        try:
            async for message in self._ws:
                if message.type is WSMsgType.BINARY:
                    for frame in decoder.feed(message.data):
                        await self._take(frame)
        except spdy.ProtocolError:
            await self._ws.send_bytes(spdy.goaway(self._last, status=1))
        finally:
            self._gone.set()
        for pair in self._data.values():
            pair.inbox.end()

    async def _take(self, frame: spdy.Control | spdy.Data) -> None:
        match frame:
            case spdy.Data(stream, data, fin):
                if pair := self._data.get(stream):
                    if data:
                        await deliver(self._ws, pair.inbox, data)
                    if fin:
                        pair.inbox.end()
            case spdy.Control(spdy.Type.SYN_STREAM, stream):
                self._last = stream
                await self._open(stream, frame)
            case spdy.Control(spdy.Type.RST_STREAM, stream):
                if (pair := self._data.get(stream)) and pair.task:
                    asyncio.get_running_loop().call_soon(pair.task.cancel)  # not before it has begun
            case spdy.Control(spdy.Type.PING, number):
                await self._ws.send_bytes(spdy.ping(number))
            case _:  # the end of a stream's headers, of the connection: what follows says the same
                pass

    async def _open(self, stream: int, frame: spdy.Control) -> None:
        headers = frame.headers
        kind, port, request = (headers.get(name, "") for name in ("streamtype", "port", "requestid"))
        pair = self._pairs.get(request) or _Pair()
        if kind not in {"data", "error"} or kind in pair.streams or not is_port(port):
            await self._ws.send_bytes(spdy.reset(stream, spdy.Reset.CANCEL))
            return
        self._pairs[request] = pair
        pair.streams[kind] = stream
        if kind == "data":
            self._data[stream] = pair
        await self._ws.send_bytes(self._encoder.reply(stream))
        if len(pair.streams) == 2:
            del self._pairs[request]
            pair.task = asyncio.create_task(self._connect(pair, int(port)))

    async def _connect(self, pair: _Pair, port: int) -> None:
        data, error = pair.streams["data"], pair.streams["error"]

        async def send(payload: bytes) -> None:
            await self._ws.send_bytes(spdy.data(data, payload))

        with contextlib.suppress(ConnectionError):  # the client has gone
            try:
                await forward(self._kubelet, self._pod, port, pair.inbox, send)
                await self._ws.send_bytes(spdy.data(data, b"", fin=True))
            except Broken as broken:
                await self._ws.send_bytes(spdy.data(error, str(broken).encode()))
                await self._ws.send_bytes(spdy.reset(data, spdy.Reset.CANCEL))
            finally:
                pair.inbox.close()
                del self._data[data]
                await self._ws.send_bytes(spdy.data(error, b"", fin=True))


def is_port(text: str) -> bool:
    """Tell whether a text is the number of a port."""
    return text.isascii() and text.isdecimal() and 0 < int(text) < 2**16
