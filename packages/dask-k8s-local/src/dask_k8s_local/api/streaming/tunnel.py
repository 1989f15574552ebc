"""The protocol of `kubectl port-forward`: SPDY/3.1 in a WebSocket.

Each connection uses a pair of SPDY streams, data and error.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from dask_k8s_local.api.streaming import spdy
from dask_k8s_local.api.streaming.portforward import ForwardingError, forward
from dask_k8s_local.api.streaming.stream_buffer import StreamBuffer, deliver, run_session
from dask_k8s_local.kubelet.protocol import Kubelet, Pod

PREFIX = "SPDY/3.1+"
PROTOCOL = "portforward.k8s.io"


async def serve(ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod) -> None:
    """Forward connections until the client disconnects."""
    tunnel = _Tunnel(ws, kubelet, pod)
    await run_session(ws, tunnel.receive(), tunnel.run())


@dataclass
class _Pair:
    """The two streams of one connection."""

    streams: dict[str, int] = field(default_factory=dict)
    """Stream ids by type, `data` or `error`."""
    buffer: StreamBuffer = field(default_factory=StreamBuffer)
    task: asyncio.Task[None] | None = None


class _Tunnel:
    def __init__(self, ws: web.WebSocketResponse, kubelet: Kubelet, pod: Pod) -> None:
        self._ws = ws
        self._kubelet = kubelet
        self._pod = pod
        self._encoder = spdy.Encoder()
        self._pairs: dict[str, _Pair] = {}
        """Incomplete pairs by their request id."""
        self._data: dict[int, _Pair] = {}
        """Pairs by the id of their data stream."""
        self._last = 0
        self._disconnected = asyncio.Event()

    async def run(self) -> None:
        """Wait until the client disconnects, then for the connections."""
        try:
            await self._disconnected.wait()
            await asyncio.gather(*(pair.task for pair in self._data.values() if pair.task))
        finally:
            tasks = [pair.task for pair in self._data.values() if pair.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self) -> None:
        """Process frames until the client disconnects."""
        decoder = spdy.Decoder()
        try:
            async for message in self._ws:
                if message.type is WSMsgType.BINARY:
                    for frame in decoder.feed(message.data):
                        await self._process(frame)
        except spdy.ProtocolError:
            await self._ws.send_bytes(spdy.goaway(self._last, status=1))
        finally:
            self._disconnected.set()
        for pair in self._data.values():
            pair.buffer.end()

    async def _process(self, frame: spdy.Control | spdy.Data) -> None:
        match frame:
            case spdy.Data(stream, data, fin):
                if pair := self._data.get(stream):
                    if data:
                        await deliver(self._ws, pair.buffer, data)
                    if fin:
                        pair.buffer.end()
            case spdy.Control(spdy.Type.SYN_STREAM, stream):
                self._last = stream
                await self._open(stream, frame)
            case spdy.Control(spdy.Type.RST_STREAM, stream):
                if (pair := self._data.get(stream)) and pair.task:
                    asyncio.get_running_loop().call_soon(pair.task.cancel)  # after the task has started
            case spdy.Control(spdy.Type.PING, number):
                await self._ws.send_bytes(spdy.ping(number))
            case _:  # other control frames need no reaction
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

        with contextlib.suppress(ConnectionError):  # the client has disconnected
            try:
                await forward(self._kubelet, self._pod, port, pair.buffer, send)
                await self._ws.send_bytes(spdy.data(data, b"", fin=True))
            except ForwardingError as failure:
                await self._ws.send_bytes(spdy.data(error, str(failure).encode()))
                await self._ws.send_bytes(spdy.reset(data, spdy.Reset.CANCEL))
            finally:
                pair.buffer.close()
                del self._data[data]
                await self._ws.send_bytes(spdy.data(error, b"", fin=True))


def is_port(text: str) -> bool:
    """Return whether a text is a valid port number."""
    return text.isascii() and text.isdecimal() and 0 < int(text) < 2**16
