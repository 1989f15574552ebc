"""What a server may send instead of an answer: it costs the controller little, and is an `AgentError`."""

import asyncio
import gzip
import json
import re
import tracemalloc
from contextlib import suppress

import pytest

from dask_k8s_controller.dask.scheduler import agent_client
from dask_k8s_controller.dask.scheduler.agent_client import AgentEndpoint, Agents
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.dask.scheduler.limits import LARGEST_ANSWER
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds.resources import PODS

OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = b'{"idle_seconds": 3.0}'
WHOLE = OK + b"Content-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP_BOMB = gzip.compress(ANSWER + b" " * 10**7)


def whole(body, *headers):
    return [b"\r\n".join([OK.rstrip(), *headers, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body]


def endless(start, part):
    yield start
    while True:
        yield part


class Server:
    """A server that sends bytes after each request, and counts its connections and what it sent."""

    def __init__(self):
        self.sends = [WHOLE]
        self.sent = self.connections = 0
        self.requests = []
        self.open = {}
        self.pause = 0.0

    async def serve(self, reader, writer):
        self.connections += 1
        self.open[asyncio.current_task()] = writer
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(request)
                await reader.readexactly(int((re.findall(rb"Content-Length: (\d+)", request) or [0])[0]))
                for part in self.sends() if callable(self.sends) else self.sends:
                    writer.write(part)
                    await writer.drain()
                    self.sent += len(part)
                    await asyncio.sleep(self.pause)
        writer.close()


@pytest.fixture
async def server(monkeypatch):
    monkeypatch.setattr(agent_client, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(agent_client, "REST_SECONDS", 0.0)
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield server
    listener.close()
    for writer in server.open.values():
        writer.transport.abort()
    await asyncio.gather(*server.open)


@pytest.fixture
async def agent(server):
    async with Agents() as agents:
        yield agents.at(AgentEndpoint(Key(PODS, "ns", "c-scheduler"), server.address, "s3cret"))


@pytest.mark.parametrize(
    "sends, reason, message",
    [
        pytest.param(whole(GZIP_BOMB, b"Content-Encoding: gzip"), "BadAnswer", "gzip", id="a gzip bomb"),
        pytest.param(whole(b"x", b"Content-Encoding: br"), "BadAnswer", "br", id="another encoding"),
        pytest.param(whole(GZIP_BOMB), "BadAnswer", "invalid JSON", id="a gzip bomb without a header"),
        pytest.param(
            lambda: endless(CHUNKED, b"1000\r\n" + b" " * 4096 + b"\r\n"),
            "BadAnswer",
            "more than",
            id="endless chunks",
        ),
        pytest.param(
            lambda: endless(CHUNKED, b"1\r\n \r\n" * 500), "SchedulerSilent", "no answer", id="tiny chunks"
        ),
        pytest.param(
            lambda: endless(OK + b"\r\n", b" " * 4096),
            "BadAnswer",
            "more than",
            id="until the end, without one",
        ),
        pytest.param(
            lambda: endless(OK, b"X: %b\r\n" % (b"y" * 4000)),
            "SchedulerUnreachable",
            ".",
            id="endless headers",
        ),
        pytest.param(
            lambda: endless(OK + b"X: ", b"y" * 4000), "SchedulerUnreachable", ".", id="an endless header"
        ),
        pytest.param(
            lambda: endless(b"HTTP/1.1 ", b"2" * 4000), "SchedulerUnreachable", ".", id="endless status"
        ),
        pytest.param(
            lambda: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
            "SchedulerSilent",
            ".",
            id="endless 100s",
        ),
        pytest.param(
            [b"HTTP/1.1 307 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"],
            "BadAnswer",
            "status 307",
            id="a redirect",
        ),
        pytest.param([OK + b"Content-Length: 9999999999\r\n\r\n"], "SchedulerSilent", ".", id="a promise"),
        pytest.param(
            [OK + b"Content-Length: 30\r\n\r\n" + ANSWER], "SchedulerSilent", ".", id="less than promised"
        ),
        pytest.param([b"\x00\xff" * 5000], "SchedulerUnreachable", ".", id="no HTTP"),
        pytest.param(
            [b"HTTP/1.1 500 \x1b[2J%b\r\n\r\n" % (b"x" * 5000)], "BadAnswer", "500", id="a long reason"
        ),
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_agent(server, agent, monkeypatch, sends, reason, message):
    server.sends = sends
    if reason != "SchedulerSilent":
        monkeypatch.setattr(agent_client, "ANSWER_SECONDS", 60.0)  # the machine may be busy
    tracemalloc.start()
    try:
        with pytest.raises(AgentError, match=message) as raised:
            await agent.idle()
        assert tracemalloc.get_traced_memory()[1] < 4 * LARGEST_ANSWER
    finally:
        tracemalloc.stop()
    assert raised.value.reason == reason
    assert len(raised.value.message) < 300
    assert raised.value.message.isprintable()


async def test_the_time_of_an_answer_is_limited_however_steadily_it_comes(server, agent):
    server.sends, server.pause = lambda: endless(CHUNKED, b"1\r\n \r\n"), 0.01
    with pytest.raises(AgentError, match="no answer in 1 s"):
        await agent.idle()


async def test_no_cookie_is_kept_and_no_compression_is_asked_for(server, agent):
    server.sends = whole(ANSWER, b"Set-Cookie: a=b; Path=/")
    assert await agent.idle() == await agent.idle() == 3.0
    assert b"Cookie" not in server.requests[1]
    assert b"Accept-Encoding: identity" in server.requests[1]
    assert server.connections == 1


async def test_large_answers_are_read_while_the_event_loop_goes_on(server, agent, monkeypatch):
    monkeypatch.setattr(agent_client, "ANSWER_SECONDS", 60.0)
    pods = {f"{n:0200}": "" for n in range(10_000)}
    server.sends = whole(json.dumps({"known": list(pods)}).encode())
    reading = asyncio.create_task(agent.known(pods))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert await reading == pods.keys()
    assert turns > 10
