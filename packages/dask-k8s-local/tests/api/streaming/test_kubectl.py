"""The real kubectl: port-forward (SPDY inside a WebSocket) and exec (`v5.channel.k8s.io`)."""

import asyncio
import hashlib
import re
import signal

import pytest


@pytest.fixture
async def forward(kubectl):
    """Run `kubectl port-forward`; returns the process and the port on this side."""

    async def forward(port):
        process = await kubectl("port-forward", "pod/web", f":{port}")
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        found = re.search(rb"127.0.0.1:(\d+) ->", line)
        assert found, (line, await process.stderr.read())
        return process, int(found[1])

    return forward


async def talk(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def shout(reader, writer):
    """Respond in upper case, and finish after the client has finished."""
    while data := await reader.read(2**16):
        writer.write(data.upper())
        await writer.drain()
    writer.write(b" bye")


async def test_forwards_both_ways_and_half_closes(forward, listen, server):
    process, port = await forward(await listen(shout))

    assert await talk(port, b"hello") == b"HELLO bye"

    process.send_signal(signal.SIGINT)
    await process.wait()
    await server.idle()


async def test_forwards_much_on_many_connections(forward, listen):
    _, port = await forward(await listen(shout))
    pieces = [bytes([97 + index]) * 2_000_000 for index in range(8)]

    answers = await asyncio.gather(*(talk(port, piece) for piece in pieces))

    assert answers == [piece.upper() + b" bye" for piece in pieces]


async def test_a_connection_that_nobody_reads_holds_no_other(forward, listen):
    async def ignore(reader, writer):
        await asyncio.Event().wait()

    process, port = await forward(await listen(ignore))
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * 100_000)
    assert await process.stdout.readline()  # "Handling connection"
    writer.close()


async def test_says_that_nobody_listens(forward, free_port, server):
    process, port = await forward(free_port)

    assert await talk(port, b"hello") == b""

    async with asyncio.timeout(30):
        errors = (await process.communicate())[1].decode()
    assert "error forwarding port" in errors
    assert "lost connection to pod" in errors
    await server.idle()


async def test_is_killed(forward, listen, server):
    ended = asyncio.Event()

    async def serve(reader, writer):
        writer.write(b"hi")
        await reader.read()
        ended.set()

    process, port = await forward(await listen(serve))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read(2) == b"hi"
    process.kill()
    async with asyncio.timeout(30):
        await ended.wait()
        await server.idle()
    writer.close()


@pytest.mark.parametrize(
    "arguments, code, out, error",
    [
        pytest.param(["sh", "-c", "echo out; echo err >&2; exit 3"], 3, "out\n", "err\n", id="exit code"),
        pytest.param(["true"], 0, "", "", id="success"),
        pytest.param(["nosuch"], 1, "", 'exec: "nosuch": executable file not found', id="no such command"),
        pytest.param(["sh", "-c", "kill -9 $$"], 137, "", "exit code 137", id="killed"),
    ],
)
async def test_exec(kubectl, arguments, code, out, error):
    process = await kubectl("exec", "web", "--", *arguments)
    output, errors = await process.communicate()
    assert (process.returncode, output.decode()) == (code, out)
    assert error in errors.decode()


async def test_exec_with_much_input(kubectl, server):
    process = await kubectl("exec", "-i", "web", "--", "sha256sum", stdin=asyncio.subprocess.PIPE)
    data = b"x" * 10_000_000
    output, _ = await process.communicate(data)
    assert output.split()[0].decode() == hashlib.sha256(data).hexdigest()
    await server.idle()


@pytest.mark.parametrize(
    "arguments, text",
    [
        pytest.param(["exec", "two", "-c", "x", "--", "true"], "container x is not valid", id="container"),
        pytest.param(["exec", "crashed", "--", "true"], 'container not found ("main")', id="crashed"),
        pytest.param(["exec", "pending", "--", "true"], "does not have a host assigned", id="pending"),
        pytest.param(["attach", "web"], "does not support attach", id="attach"),
    ],
)
async def test_refusals(kubectl, arguments, text):
    process = await kubectl(*arguments)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert text in errors.decode()
