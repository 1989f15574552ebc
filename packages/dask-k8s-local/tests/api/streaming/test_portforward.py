"""Port-forwarding with `v4.channel.k8s.io` (Python clients) and with SPDY frames (kubectl)."""

import asyncio
import contextlib
import socket
from struct import pack

import aiohttp
import pytest

from dask_k8s_local.api.streaming import spdy
from dask_k8s_local.api.streaming.spdy import Control, Data, Type

V4 = "v4.channel.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
CLOSED = (aiohttp.WSMsgType.CLOSE, 1000)


async def shout(reader, writer):
    while data := await reader.read(2**16):
        writer.write(data.upper())
        await writer.drain()
    writer.write(b"bye")


async def break_off(reader, writer):
    await reader.read(1)
    linger = pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def answer_once(reader, writer):
    writer.write((await reader.read(100)).upper())


def greeting(*ports):
    return [bytes([channel]) + pack("<H", ports[channel // 2]) for channel in range(2 * len(ports))]


async def read(ws, count):
    async with asyncio.timeout(30):
        return [await ws.receive_bytes() for _ in range(count)]


async def end(ws):
    async with asyncio.timeout(30):
        message = await ws.receive()
    return message.type, message.data


@pytest.mark.parametrize(
    "protocols", [(V4,), (V4, "portforward.k8s.io"), ("bogus", V4), ()], ids=["v4", "two", "bogus", "none"]
)
async def test_two_ports(connect, listen, protocols):
    ports = [await listen(shout), await listen(shout)]
    ws = await connect("web/portforward", [("ports", port) for port in ports], *protocols)
    assert ws.protocol == (V4 if protocols else None)
    assert await read(ws, 4) == greeting(*ports)

    await ws.send_bytes(b"\0one")
    assert await read(ws, 1) == [b"\0ONE"]
    await ws.send_bytes(b"\2two")
    assert await read(ws, 1) == [b"\2TWO"]


async def test_ends_when_the_pod_has_ended(connect, listen):
    port = await listen(answer_once)
    ws = await connect("web/portforward", {"ports": port}, V4)
    await ws.send_bytes(b"\0hello")
    assert await read(ws, 3) == [*greeting(port), b"\0HELLO"]
    assert await end(ws) == CLOSED


async def test_nobody_listens(connect, free_port):
    ws = await connect("web/portforward", {"ports": free_port}, V4)
    *_, error = await read(ws, 3)
    assert error[0] == 1
    assert error[1:].startswith(
        f"error forwarding port {free_port} to pod uid-of-web, uid : failed to".encode()
    )
    assert await end(ws) == CLOSED


async def test_one_failed_port_leaves_the_other(connect, listen, free_port):
    ports = free_port, await listen(shout)
    ws = await connect("web/portforward", {"ports": f"{ports[0]},{ports[1]}"}, V4)
    assert (await read(ws, 5))[4][0] == 1
    await ws.send_bytes(b"\2two")
    assert await read(ws, 1) == [b"\2TWO"]


async def test_half_an_answer_is_an_error(connect, listen):
    ws = await connect("web/portforward", {"ports": await listen(break_off)}, V4)
    await ws.send_bytes(b"\0hello")
    *_, error = await read(ws, 3)
    assert error.startswith(b"\1error forwarding port")
    assert error.endswith(b"read: connection reset by peer")
    assert await end(ws) == CLOSED


async def test_the_last_bytes_of_a_client_arrive(connect, listen, server):
    received = asyncio.get_running_loop().create_future()

    async def take(reader, writer):
        received.set_result(await reader.read(-1))

    ws = await connect("web/portforward", {"ports": await listen(take)}, V4)
    for _ in range(100):
        await ws.send_bytes(b"\0" + b"x" * 10_000)
    await ws.close()
    async with asyncio.timeout(30):
        assert len(await received) == 1_000_000
        await server.idle()


async def pour_into(ws, limit):
    """Send until the connection is full; return the number of bytes."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while sent < limit:
                await ws.send_bytes(b"\0" + b"x" * 1_000_000)
                sent += 1_000_000
    return sent


async def test_a_pod_that_does_not_read_holds_the_client_back(connect, listen, server):
    connected = asyncio.get_running_loop().create_future()

    async def stall(reader, writer):
        connected.set_result(writer)
        await asyncio.Event().wait()

    ws = await connect("web/portforward", {"ports": await listen(stall, limit=1)}, V4)
    assert await pour_into(ws, limit=100_000_000) < 100_000_000

    (await connected).transport.abort()
    async with asyncio.timeout(30):
        while (await ws.receive()).type is aiohttp.WSMsgType.BINARY:
            pass
        await server.idle()


async def test_a_client_that_does_not_read_holds_the_pod_back(connect, listen, server):
    sent = 0

    async def pour(reader, writer):
        nonlocal sent
        while True:
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            sent += 1_000_000

    ws = await connect("web/portforward", {"ports": await listen(pour)}, V4)
    before = -1
    while sent != before:
        before = sent
        await asyncio.sleep(0.3)
    assert sent < 100_000_000

    ws._response.close()  # the connection is cut  # noqa: SLF001
    async with asyncio.timeout(30):
        await server.idle()


async def test_a_cut_connection_reaches_a_pod_that_does_not_read(connect, listen, server, monkeypatch):
    monkeypatch.setattr("dask_k8s_local.api.streaming.stream_buffer._PROBE_SECONDS", 0.1)

    async def stall(reader, writer):
        await asyncio.Event().wait()

    ws = await connect("web/portforward", {"ports": await listen(stall, limit=1)}, V4)
    assert await pour_into(ws, limit=100_000_000) < 100_000_000
    ws._response.connection.transport.abort()  # noqa: SLF001
    async with asyncio.timeout(30):
        await server.idle()


class Tunnel:
    """kubectl's end of the tunnel."""

    def __init__(self, ws):
        self._ws = ws
        self.encoder, self._decoder = spdy.Encoder(), spdy.Decoder()

    async def send(self, *frames):
        for frame in frames:
            await self._ws.send_bytes(frame)

    async def open(self, stream, kind, port, request="7"):
        headers = {"streamtype": kind, "port": str(port), "requestid": request}
        await self.send(self.encoder.open(stream, headers))

    async def read(self, count):
        frames = []
        async with asyncio.timeout(30):
            while len(frames) < count:
                frames += self._decoder.feed(await self._ws.receive_bytes())
        return frames

    async def end(self):
        return await end(self._ws)


@pytest.fixture
async def tunnel(connect):
    return Tunnel(await connect("web/portforward", {}, TUNNEL))


async def test_tunnel(tunnel, listen):
    port = await listen(shout)
    await tunnel.open(1, "error", port)
    await tunnel.open(3, "data", port)
    assert await tunnel.read(2) == [Control(Type.SYN_REPLY, 1), Control(Type.SYN_REPLY, 3)]

    await tunnel.send(spdy.data(3, b"hi"), spdy.ping(1))
    frames = await tunnel.read(2)
    assert Data(3, b"HI", fin=False) in frames
    assert Control(Type.PING, 1) in frames

    await tunnel.send(spdy.data(3, b"", fin=True))
    assert await tunnel.read(3) == [
        Data(3, b"bye", fin=False),
        Data(3, b"", fin=True),
        Data(1, b"", fin=True),
    ]


async def test_tunnel_resets_a_connection(tunnel, listen):
    ended = asyncio.Event()

    async def serve(reader, writer):
        await reader.read(-1)
        ended.set()

    port = await listen(serve)
    await tunnel.open(1, "error", port)
    await tunnel.open(3, "data", port)
    await tunnel.send(spdy.reset(3, spdy.Reset.CANCEL), spdy.data(3, b"too late"))
    assert await tunnel.read(3) == [
        Control(Type.SYN_REPLY, 1),
        Control(Type.SYN_REPLY, 3),
        Data(1, b"", fin=True),
    ]
    async with asyncio.timeout(30):
        await ended.wait()
    await tunnel.send(spdy.ping(3))
    assert await tunnel.read(1) == [Control(Type.PING, 3)]


async def test_tunnel_refuses_a_stream(tunnel):
    await tunnel.open(1, "error", 0)
    await tunnel.open(3, "stdin", 80)
    await tunnel.open(5, "data", 80)
    await tunnel.open(7, "data", 80)
    assert await tunnel.read(4) == [
        Control(Type.RST_STREAM, 1),
        Control(Type.RST_STREAM, 3),
        Control(Type.SYN_REPLY, 5),
        Control(Type.RST_STREAM, 7),
    ]


async def test_tunnel_ends_at_nonsense(tunnel, server):
    await tunnel.send(b"\x80\x02" + bytes(6))
    assert await tunnel.read(1) == [Control(Type.GOAWAY, 0)]
    assert await tunnel.end() == CLOSED
    await server.idle()


@pytest.mark.parametrize(
    "pod, query, protocol, answer",
    [
        pytest.param("web", {}, V4, (400, 'query parameter "port" is required'), id="no port"),
        pytest.param("web", {"ports": "0"}, V4, (400, 'port "0" must be > 0'), id="port 0"),
        pytest.param("web", {"ports": "http"}, V4, (400, 'parsing "http": invalid syntax'), id="name"),
        pytest.param("web", {"ports": "70000"}, V4, (400, 'parsing "70000": value out of range'), id="large"),
        pytest.param("web", {"ports": "80"}, "portforward.k8s.io", (403, "not supported"), id="protocol"),
        pytest.param("web", {}, "SPDY/3.1+x.k8s.io", (403, "client supports [x.k8s.io]"), id="tunnel"),
        pytest.param("web", {"ports": "80"}, "", (400, "Upgrade request required"), id="no upgrade"),
        pytest.param("done", {"ports": "80"}, V4, (500, 'pod not found ("done_default")'), id="done"),
        pytest.param("done", {}, TUNNEL, (500, 'pod not found ("done_default")'), id="done, tunnel"),
        pytest.param("pending", {"ports": "80"}, V4, (400, "does not have a host assigned"), id="pending"),
    ],
)
async def test_refusals(refused, pod, query, protocol, answer):
    status, message = await refused(f"{pod}/portforward", query, protocol)
    assert status == answer[0]
    assert answer[1] in message
