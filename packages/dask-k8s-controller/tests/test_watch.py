"""Watches as servers and proxies send them: split anywhere, silent, cut, too old."""

import asyncio
import json
import random
from contextlib import aclosing

import pytest
from aiohttp import web

from dask_k8s_crds.api_errors import ApiError

from .builders import pod
from .fake_server import status

PATH = "/api/v1/pods"
EVENTS = [{"type": "ADDED", "object": pod(f"w{number}", note="é…\u2028")} for number in range(20)]
LINES = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in EVENTS)


def streaming(*chunks, then=None):
    """Send the chunks one by one; ``then`` what comes before the end."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        if then is not None:
            await then(request)
        return response

    return answer


async def events(api, idle_timeout=5.0):
    async with aclosing(api.watch(PATH, idle_timeout=idle_timeout, resourceVersion="7")) as watch:
        return [event async for event in watch]


async def ended(api, idle_timeout=5.0):
    """What was seen, and the error that ended it."""
    seen = []
    try:
        async with aclosing(api.watch(PATH, idle_timeout=idle_timeout)) as watch:
            async for event in watch:
                seen.append(event)  # noqa: PERF401 - what came before the error counts
    except ApiError as error:
        return seen, error
    pytest.fail("it ended well")


async def test_a_watch_as_the_server_sees_it(api, server):
    server.answer = streaming(LINES)
    assert await events(api) == EVENTS
    [request] = server.requests
    assert (request.path, dict(request.query)) == (PATH, {"watch": "1", "resourceVersion": "7"})


@pytest.mark.parametrize("seed", range(20))
async def test_events_split_anywhere(api, server, seed):
    draw = random.Random(seed)
    cuts = sorted(draw.sample(range(len(LINES)), draw.randrange(60)))
    chunks = [LINES[start:end] for start, end in zip([0, *cuts], [*cuts, len(LINES)], strict=True)]
    server.answer = streaming(*filter(None, chunks))
    assert await events(api) == EVENTS


async def test_an_event_comes_as_soon_as_its_line_is_complete(api, server):
    taken = asyncio.Event()
    first, rest = LINES.split(b"\n", 1)

    async def wait(_):
        await taken.wait()

    server.answer = streaming(first + b"\n" + rest[:5], then=wait)
    async with aclosing(api.watch(PATH, idle_timeout=5.0)) as watch:
        assert await anext(watch) == EVENTS[0]
    taken.set()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            streaming(
                json.dumps({"type": "ERROR", "object": status(410, "Expired", "too old")}).encode() + b"\n"
            ),
            id="in the stream",
        ),
        pytest.param(None, id="instead of the stream"),
    ],
)
async def test_too_old(api, server, answer):
    async def refuse(_):
        return web.json_response(status(410, "Expired", "too old"), status=410)

    server.answer = answer or refuse
    seen, error = await ended(api)
    assert (seen, error.status, error.reason, error.message) == ([], 410, "Expired", "too old")


async def test_an_error_in_the_stream_that_is_no_status(api, server):
    server.answer = streaming(b'{"type": "ERROR", "object": {}}\n')
    _, error = await ended(api)
    assert (error.status, error.reason) == (500, "WatchError")


async def test_silence(api, server):
    hung_up = asyncio.Event()

    async def wait(_):
        await hung_up.wait()

    server.answer = streaming(LINES, then=wait)
    seen, error = await ended(api, idle_timeout=0.05)
    hung_up.set()
    assert seen == EVENTS
    assert (error.status, error.reason) == (0, "Timeout")


async def test_a_cut_in_the_middle_of_an_event(api, server):
    async def cut(request):
        request.transport.close()  # after what was written

    server.answer = streaming(LINES[:-20], then=cut)
    seen, error = await ended(api)
    assert seen == EVENTS[:-1]
    assert not error.answered


async def test_an_end_in_the_middle_of_an_event_is_an_end(api, server):
    server.answer = streaming(LINES[:-20])
    assert await events(api) == EVENTS[:-1]


async def test_a_stream_that_is_no_json(api, server):
    server.answer = streaming(b"<html>\n")
    _, error = await ended(api)
    assert not error.answered
