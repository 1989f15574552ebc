"""The requests of an informer, and the cache that it fills, whatever goes wrong."""

import asyncio
import json
from dataclasses import replace
from itertools import pairwise

import pytest
from aiohttp import web

from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.informer import Informer
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import PODS

from .builders import WATCHES, pod
from .fake_server import status

FAST = Backoff(first=0.001, longest=0.01)


def at(name, version, **more):
    return pod(name, resourceVersion=str(version), **more)


class Script:
    """Answers in turn; when there is no further one, requests wait."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.done = asyncio.Event()

    async def __call__(self, request):
        query = dict(request.query)
        for varying in ("timeoutSeconds", "allowWatchBookmarks"):
            query.pop(varying, None)
        self.asked.append(query)
        if not self.answers:
            self.done.set()
            await asyncio.Event().wait()
        return await self.answers.pop(0)(request)


def listing(version, *bodies, following=""):
    async def answer(_):
        metadata = {"resourceVersion": str(version), **({"continue": following} if following else {})}
        return web.json_response({"kind": "PodList", "metadata": metadata, "items": list(bodies)})

    return answer


def refusal(code, reason="?"):
    async def answer(_):
        return web.json_response(status(code, reason), status=code)

    return answer


def watch(*events, cut=False):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, body in events:
            await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
        if cut:
            request.transport.close()  # after what was written
        return response

    return answer


def bookmark(version):
    return ("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


EXPIRED = ("ERROR", status(410, "Expired"))
LIST = {"limit": "500"}


def watching(version):
    return {"watch": "1", "resourceVersion": str(version)}


@pytest.fixture
async def run(api, server):
    """Run an informer through a script; return the requests, the changes of the cache, and its contents."""

    async def run(*answers, watched=WATCHES[PODS], namespace="ns"):
        changes = []

        def on_change(change):
            changes.append(("deleted" if change.deleted else "set", change.record.key.name))

        cache = Cache({PODS: watched}, on_change)
        informer = Informer(api, cache, watched, namespace, 240, backoff=FAST)
        server.answer = script = Script(*answers)
        task = asyncio.create_task(informer.run())
        done = asyncio.create_task(script.done.wait())
        await asyncio.wait([task, done], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert not task.done(), task.exception()
        task.cancel()
        await asyncio.wait([task])
        return script.asked, changes, sorted(record.key.name for record in cache.all(PODS))

    return run


async def test_list_and_watch_from_there(run):
    asked, changes, names = await run(
        listing(5, at("a", 1), at("b", 3)), watch(("ADDED", at("c", 6)), ("DELETED", at("a", 7)))
    )
    assert asked == [LIST, watching(5), watching(7)]
    assert changes == [
        ("set", "a"),
        ("set", "b"),
        ("set", "c"),
        ("deleted", "a"),
    ]
    assert names == ["b", "c"]


async def test_pages(run):
    asked, changes, _ = await run(
        listing(5, at("a", 1), following="next"),
        listing(5, at("b", 2), following="last"),
        listing(5, at("c", 3)),
    )
    assert asked == [LIST, LIST | {"continue": "next"}, LIST | {"continue": "last"}, watching(5)]
    assert [name for _, name in changes] == ["a", "b", "c"]


async def test_a_page_that_is_too_old_starts_the_list_again(run):
    asked, _, names = await run(
        listing(5, at("a", 1), following="next"), refusal(410, "Expired"), listing(9, at("b", 2))
    )
    assert asked == [LIST, LIST | {"continue": "next"}, LIST, watching(9)]
    assert names == ["b"]


async def test_the_selectors_go_to_the_server(run):
    watched = WATCHES[PODS]
    selecting = replace(watched, selector="dask.org/cluster-name", fields="spec.nodeName=a")
    asked, _, _ = await run(listing(5), watched=selecting)
    selectors = {"labelSelector": "dask.org/cluster-name", "fieldSelector": "spec.nodeName=a"}
    assert asked == [LIST | selectors, watching(5) | selectors]


async def test_bookmarks_advance_the_version_and_report_nothing(run):
    asked, changes, _ = await run(listing(5), watch(bookmark(50)))
    assert asked == [LIST, watching(5), watching(50)]
    assert changes == []


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(watch(), id="the server ends it"),
        pytest.param(watch(cut=True), id="it is cut"),
        pytest.param(refusal(500), id="the server fails"),
        pytest.param(refusal(429), id="too many requests"),
    ],
)
async def test_a_new_watch_starts_at_the_last_version(run, end):
    asked, _, names = await run(listing(5), watch(("ADDED", at("a", 8))), end, watch(("ADDED", at("b", 9))))
    assert asked == [LIST, watching(5), watching(8), watching(8), watching(9)]
    assert names == ["a", "b"]


async def test_a_cut_watch_keeps_what_it_brought(run):
    asked, _, names = await run(listing(5), watch(("ADDED", at("a", 8)), cut=True))
    assert asked == [LIST, watching(5), watching(8)]
    assert names == ["a"]


@pytest.mark.parametrize(
    "too_old", [refusal(410, "Expired"), watch(EXPIRED)], ids=["at once", "in the stream"]
)
async def test_after_a_410_the_list_is_the_truth(run, too_old):
    asked, changes, names = await run(
        listing(5, at("gone", 1), at("changed", 2), at("same", 3)),
        too_old,
        listing(90, at("changed", 80), at("same", 3), at("new", 85)),
    )
    assert asked == [LIST, watching(5), LIST, watching(90)]
    assert changes[3:] == [("deleted", "gone"), ("set", "changed"), ("set", "new")]
    assert names == ["changed", "new", "same"]


async def test_a_successor_that_was_missed_is_reported(run):
    _, changes, _ = await run(
        listing(5, at("w", 1, uid="first")), refusal(410), listing(9, at("w", 8, uid="second"))
    )
    assert changes == [("set", "w"), ("deleted", "w"), ("set", "w")]


async def test_items_of_lists_look_like_those_of_watches(run):
    bodies = []
    watched = type(WATCHES[PODS])(PODS, trim=lambda body: bodies.append((body["apiVersion"], body["kind"])))
    bare = at("a", 1)
    del bare["apiVersion"], bare["kind"]
    await run(listing(5, bare), watch(("ADDED", at("b", 6))), watched=watched)
    assert bodies == [("v1", "Pod")] * 2


async def test_unknown_kinds_are_waited_for(run, caplog):
    asked, _, names = await run(refusal(404), refusal(404), listing(5, at("a", 1)))
    assert asked == [LIST, LIST, LIST, watching(5)]
    assert names == ["a"]
    assert "install the CRDs" in caplog.text


class Stub:
    """An API server in virtual time: a list takes 5 s, each watch lasts so long and ends with an error."""

    def __init__(self, lasting, error):
        self.lasting = lasting
        self.error = error
        self.watches = []

    async def get(self, *_, **__):
        await asyncio.sleep(5)
        return {"items": [], "metadata": {"resourceVersion": "5"}}

    async def watch(self, *_, **__):
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(self.lasting)
        self.watches.append((start, asyncio.get_running_loop().time()))
        raise self.error
        yield

    def pauses(self):
        return [later[0] - earlier[1] for earlier, later in pairwise(self.watches)]


@pytest.fixture
async def informer_of():
    """Start an informer of a server."""
    tasks = []

    def start(server):
        watched = WATCHES[PODS]
        informer = Informer(server, Cache({PODS: watched}, lambda _: None), watched, None, 240)
        tasks.append(asyncio.create_task(informer.run()))
        return informer

    yield start
    for task in tasks:
        task.cancel()


CUT = ApiError(0, "Unreachable", "cut")
LATER = ApiError(429, "TooManyRequests", "later", retry_after=9.0)
TOO_OLD = ApiError(410, "Expired", "too old")


@pytest.mark.looptime
@pytest.mark.parametrize(
    "lasting, error, pauses",
    [
        pytest.param(0.0, CUT, [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30], id="cut at once: they grow"),
        pytest.param(60.0, CUT, [0.25] * 5, id="cut after a while, as by a proxy with a limit: they do not"),
        pytest.param(0.0, LATER, [9, 9, 9, 9, 9, 9, 16], id="at least what the server asks for"),
        # The first list after a 410 comes at once, and each takes five seconds.
        pytest.param(0.0, TOO_OLD, [5, 5.5, 6, 7, 9, 13, 21, 35], id="too old, again and again"),
    ],
)
async def test_pauses_between_watches(informer_of, lasting, error, pauses):
    server = Stub(lasting, error)
    informer_of(server)
    await asyncio.sleep(600)
    assert server.pauses()[: len(pauses)] == [pytest.approx(pause, rel=0.21) for pause in pauses]


@pytest.mark.looptime
@pytest.mark.parametrize(
    "error, silent",
    [pytest.param(CUT, 1000, id="the server is away"), pytest.param(LATER, 0, id="the server is busy")],
)
async def test_silence_is_counted_from_the_last_response(informer_of, error, silent):
    server = Stub(0.0, error)
    informer = informer_of(server)
    assert not informer.synced.is_set()
    await asyncio.sleep(1005)
    assert informer.synced.is_set()
    assert informer.seconds_since_contact() == pytest.approx(silent, abs=31)


class Quiet(Stub):
    """Its watches are opened and then have no events, as those of kinds of which nothing changes."""

    def __init__(self, *answers):
        super().__init__(0.0, CUT)
        self.answers = list(answers)
        self.refused = asyncio.Event()

    async def watch(self, *_, on_open, **__):
        error = self.answers.pop(0) if self.answers else None
        if not self.answers:
            self.refused.set()
        if error:
            raise error
        on_open()
        await asyncio.Event().wait()
        yield


@pytest.mark.looptime
async def test_a_watch_that_has_been_opened_again_counts_as_contact(informer_of):
    """At once, and not only with its first event."""
    server = Quiet(*[CUT] * 12)
    informer = informer_of(server)
    await server.refused.wait()
    assert informer.seconds_since_contact() > 100
    await asyncio.sleep(40)
    assert informer.seconds_since_contact() < 40


@pytest.mark.looptime
async def test_a_pause_that_the_server_asks_for_is_no_silence(informer_of):
    server = Quiet(ApiError(429, "TooManyRequests", "later", retry_after=30.0))
    informer = informer_of(server)
    for _ in range(34):
        await asyncio.sleep(1)
        assert informer.seconds_since_contact() <= 5


@pytest.mark.looptime
@pytest.mark.parametrize(
    "error, synced",
    [
        pytest.param(ApiError(403, "Forbidden", "no"), False, id="forbidden"),
        pytest.param(ApiError(404, "", "404 page not found"), False, id="no such kind any more"),
        pytest.param(CUT, True, id="not reached"),
        pytest.param(LATER, True, id="busy"),
        pytest.param(ApiError(500, "InternalError", "?"), True, id="broken"),
    ],
)
async def test_the_cache_is_not_complete_while_the_server_refuses(informer_of, error, synced):
    server = Quiet(None)
    informer = informer_of(server)
    server.answers = [error] * 6
    await asyncio.sleep(6)
    assert informer.synced.is_set() == synced
    await asyncio.sleep(100)
    assert informer.synced.is_set()
