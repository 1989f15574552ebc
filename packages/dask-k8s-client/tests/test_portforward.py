"""A port-forward through an endpoint with the API server's framing to an echo server."""

import asyncio
import hashlib
import os
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from dask_k8s_client.connection.portforward import PROTOCOLS, PortForward

PORT = 8786


class Endpoint:
    """The endpoint `…/portforward`: one TCP connection to a local server for each WebSocket."""

    def __init__(self, target):
        self.target = target
        self.sockets = []

    async def handle(self, request):
        ws = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
        await ws.prepare(request)
        self.sockets.append((ws, request.transport))
        number = PORT.to_bytes(2, "little")
        await ws.send_bytes(b"\0" + number)
        await ws.send_bytes(b"\1" + number)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError as error:
            await ws.send_bytes(b"\1" + f"connection refused: {error}".encode())
            await ws.close()
            return ws

        async def down():
            while data := await reader.read(2**15):
                await ws.send_bytes(b"\0" + data)
            await ws.close()

        task = asyncio.create_task(down())
        async for message in ws:
            assert message.data[0] == 0
            writer.write(message.data[1:])
            await writer.drain()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
        return ws


@asynccontextmanager
async def forwarded(serve):
    """Run a server, an endpoint and a port-forward; yield the endpoint and the local port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = Endpoint(server.sockets[0].getsockname()[1])
    app = web.Application()
    app.router.add_get("/portforward", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/portforward"
    async with aiohttp.ClientSession() as session:

        def tunnel():
            return session.ws_connect(url, protocols=PROTOCOLS, max_msg_size=0)

        forward = PortForward(tunnel)
        port = await forward.start()
        try:
            yield endpoint, port
        finally:
            await forward.close()
            await runner.cleanup()
            server.close()


async def echo(reader, writer):
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def talk(port, payload):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send():
        writer.write(payload)
        await writer.drain()

    sending = asyncio.create_task(send())
    answer = await reader.readexactly(len(payload))
    await sending
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("size", [1, 2**15, 5 * 2**20], ids=["one byte", "a message", "many messages"])
async def test_bytes_come_back_as_they_went(size):
    payload = os.urandom(size)
    async with forwarded(echo) as (_, port):
        assert await talk(port, payload) == payload


async def test_connections_do_not_mix():
    payloads = [os.urandom(100_000) for _ in range(20)]
    async with forwarded(echo) as (endpoint, port):
        assert await asyncio.gather(*(talk(port, each) for each in payloads)) == payloads
        assert len(endpoint.sockets) == 20


async def test_the_answer_arrives_after_the_question_has_ended():
    """The echo of data that was in flight when the local side finished writing."""
    payload = os.urandom(2**20)
    async with forwarded(echo) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(payload)
        writer.write_eof()
        assert await reader.read(-1) == payload
        writer.close()


async def test_the_pod_hears_that_the_local_side_is_gone():
    ended = asyncio.Event()

    async def serve(reader, writer):
        await reader.read(-1)
        ended.set()
        writer.close()

    async with forwarded(serve) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        await writer.drain()
        writer.close()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_the_end_of_the_pod_s_side_arrives_after_all_its_data():
    payload = os.urandom(3 * 2**20)

    async def serve(reader, writer):
        writer.write(payload)
        await writer.drain()
        writer.close()

    async with forwarded(serve) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert hashlib.sha256(await reader.read(-1)).digest() == hashlib.sha256(payload).digest()
        writer.close()


async def test_a_slow_reader_holds_the_pod_back():
    sent = 0
    total = 200 * 2**20
    full = asyncio.Event()

    async def serve(reader, writer):
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=2**16)
        while sent < total:
            writer.write(bytes(2**20))
            try:
                async with asyncio.timeout(1):
                    await writer.drain()
            except TimeoutError:
                full.set()
                break
            sent += 2**20
        writer.transport.abort()

    async with forwarded(serve) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        async with asyncio.timeout(20):
            await full.wait()
        assert sent < total / 2
        writer.transport.abort()


async def test_a_dropped_connection_is_a_reset_and_the_next_one_works():
    async with forwarded(echo) as (endpoint, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        endpoint.sockets[0][1].abort()
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()
        assert await talk(port, b"again") == b"again"


async def test_a_pod_that_refuses_is_a_reset():
    async with forwarded(echo) as (endpoint, port):
        endpoint.target = 1
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        writer.close()


async def test_closing_ends_every_connection():
    async with forwarded(echo) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        await reader.readexactly(1)
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
