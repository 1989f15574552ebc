"""The proxy of a Service port."""

import asyncio
import contextlib
import socket

import pytest

from dask_k8s_local.network.addresses import Block
from dask_k8s_local.network.proxy import Proxy


@pytest.fixture
async def net():
    block = Block.reserve()
    net = Net(block)
    yield net
    for server in net.servers:
        server.close()
    net.proxy.close()
    block.close()


class Net:
    def __init__(self, block):
        self.address = block.services.take()
        self.pod = block.pods.take()
        self.backends = []
        self.proxy = Proxy(lambda: self.backends)
        self.servers = []

    async def echo(self, port=8000):
        """Start a pod that responds in upper case after the client has sent everything."""

        async def answer(reader, writer):
            writer.write((await reader.read()).upper())
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        self.servers.append(await asyncio.start_server(answer, self.pod, port))

    async def ask(self, data=b"hello"):
        reader, writer = await asyncio.open_connection(self.address, 8080)
        writer.write(data)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


async def test_carries_both_directions(net):
    await net.echo()
    net.backends.append((net.pod, 8000))
    await net.proxy.listen(net.address, 8080)
    assert await net.ask() == b"HELLO"
    big = b"x" * 10_000_000
    assert await net.ask(big) == big.upper()


async def test_both_sides_have_said_all(net):
    await net.echo()
    net.backends.append((net.pod, 8000))
    await net.proxy.listen(net.address, 8080)
    for _ in range(3):
        reader, writer = await asyncio.open_connection(net.address, 8080)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"HELLO"
        async with asyncio.timeout(30):
            while net.proxy.busy:  # noqa: ASYNC110  # there is no event for it
                await asyncio.sleep(0.01)
        writer.close()


async def test_waits_for_a_ready_pod_that_listens(net):
    await net.proxy.listen(net.address, 8080)
    asked = asyncio.create_task(net.ask())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asked), 0.05)
    net.backends.append((net.pod, 8000))  # ready, but not listening yet
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asked), 0.05)
    await net.echo()
    assert await asked == b"HELLO"


async def test_tries_the_other_pod(net):
    await net.echo()
    net.backends += [(net.pod, 9), (net.pod, 8000)]
    await net.proxy.listen(net.address, 8080)
    assert [await net.ask() for _ in range(8)] == [b"HELLO"] * 8


async def test_closing_cuts_connections(net):
    await net.proxy.listen(net.address, 8080)
    reader, writer = await asyncio.open_connection(net.address, 8080)
    net.proxy.close()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_accepted_while_it_stops_is_cut(net, turns):
    await net.proxy.listen(net.address, 8080)
    with socket.create_connection(
        (net.address, 8080)
    ) as client:  # accepted by the kernel, before the event loop runs
        client.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        net.proxy.refuse()
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(30):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    assert not net.proxy.busy


async def test_listens_again_at_once(net):
    await net.echo()
    net.backends.append((net.pod, 8000))
    await net.proxy.listen(net.address, 8080)
    net.proxy.refuse()
    await net.proxy.listen(net.address, 8080)
    assert await net.ask() == b"HELLO"
