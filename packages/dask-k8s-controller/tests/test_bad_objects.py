"""An object that the controller cannot read, or not process, costs that object alone."""

import asyncio
import json
from unittest.mock import Mock

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from dask_k8s_controller.runtime import object_errors
from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.cache import Cache, Watched
from dask_k8s_controller.runtime.informer import Informer
from dask_k8s_controller.runtime.object_errors import ObjectErrors
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconciler
from dask_k8s_controller.runtime.triggers import Triggers
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import WATCHES, cluster, owned_by, pod
from .properties import nested

FAST = Backoff(first=0.001, longest=0.01)


def errors_of(resource):
    return REGISTRY.get_sample_value("dask_k8s_object_errors_total", {"resource": str(resource)}) or 0


def changed(**metadata):
    """A pod whose metadata has these values; None removes a field."""
    body = pod("bad")
    fields = body["metadata"] | metadata
    return body | {"metadata": {name: value for name, value in fields.items() if value is not None}}


DEEP = "(nested)"
"""Stands for 2,000 arrays in each other, which Python's `json` does not write."""


def text(value):
    return json.dumps(value).replace(f'"{DEEP}"', "[" * 2000 + "]" * 2000)


BODIES = [
    pytest.param(changed(ownerReferences="x"), id="owner references are a string"),
    pytest.param(changed(ownerReferences=[7]), id="an owner reference is a number"),
    pytest.param(changed(ownerReferences=[{"controller": True}]), id="an owner without a name"),
    pytest.param(changed(name=["bad"]), id="the name is a list"),
    pytest.param(changed(name=None), id="no name"),
    pytest.param(changed(uid=7), id="the uid is a number"),
    pytest.param(changed(uid=None), id="no uid"),
    pytest.param(changed(resourceVersion="x"), id="the version is a word"),
    pytest.param(changed(resourceVersion="9" * 5000), id="the version has 5,000 digits"),
    pytest.param(changed(annotations=["x"]), id="the annotations are a list"),
    pytest.param({"kind": "Pod", "apiVersion": "v1"}, id="no metadata"),
    pytest.param({"metadata": "x"}, id="the metadata is a string"),
    pytest.param(pod("bad") | {"spec": None}, id="no spec"),
    pytest.param(pod("bad") | {"spec": {"containers": []}}, id="no containers"),
    pytest.param(pod("bad") | {"status": {"conditions": [{}]}}, id="a condition without a type"),
    pytest.param(pod("bad") | {"status": {"containerStatuses": 5}}, id="containers are a number"),
]


class Script:
    """An API server: first a list, then a watch with these events, then silence."""

    def __init__(self, items, events):
        self.items, self.events = items, events
        self.lists = 0
        self.done = asyncio.Event()

    async def __call__(self, request):
        if "watch" not in request.query:
            self.lists += 1
            metadata = {"resourceVersion": "5"}
            return web.json_response(text=text({"metadata": metadata, "items": self.items}))
        if not self.events:
            self.done.set()
            await asyncio.Event().wait()
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, body in self.events:
            await response.write(text({"type": kind, "object": body}).encode() + b"\n")
        self.events = []
        return response


@pytest.fixture
def run(api, server):
    """Run an informer through a list and a watch; return its cache."""

    async def run(items=(), events=(), watched=WATCHES[PODS], listener=lambda _: None):
        cache = Cache({watched.resource: watched}, listener)
        server.answer = script = Script(list(items), list(events))
        task = asyncio.create_task(Informer(api, cache, watched, "ns", 240, backoff=FAST).run())
        done = asyncio.create_task(script.done.wait())
        await asyncio.wait([task, done], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert not task.done(), task.exception()
        task.cancel()
        await asyncio.wait([task])
        assert script.lists == 1
        return cache

    return run


def names(cache, resource=PODS):
    return sorted(record.key.name for record in cache.all(resource))


@pytest.mark.parametrize("body", BODIES)
async def test_the_others_in_a_list_and_in_a_watch_are_served(run, body):
    before = errors_of(PODS)
    cache = await run([pod("first"), body, pod("second")], [("ADDED", body), ("ADDED", pod("third"))])
    assert names(cache) == ["first", "second", "third"]
    assert errors_of(PODS) == before + 2


@pytest.mark.parametrize("part", ["trim", "index", "listener"])
async def test_code_of_a_plugin_fails_for_one_object_alone(run, part):
    def only_bad(body):
        if body["metadata"]["name"] == "bad":
            raise ValueError("no such thing")

    def listener(change):
        if part == "listener" and change.record.key.name == "bad":
            raise ValueError("no such thing")
        seen.append(change.record.key.name)

    seen = []
    parts = {part: only_bad} if part != "listener" else {}
    watched = Watched(PODS, **{"trim": lambda _: None} | parts)
    bodies = [pod("first"), pod("bad"), pod("second")]
    cache = await run(bodies, [("MODIFIED", pod("bad")), ("ADDED", pod("third"))], watched, listener)
    assert seen == ["first", "second", "third"]
    assert ("bad" in names(cache)) is (part == "listener")


async def test_an_object_is_logged_once_with_its_name_and_counted_each_time(run, caplog):
    bad = changed(uid=7)
    events = [("MODIFIED", bad)] * 5
    before = errors_of(PODS)
    await run([bad], [*events, ("MODIFIED", changed(uid=7, name="worse"))])
    logged = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.split(":")[0] for message in logged] == ["Pod ns/bad", "Pod ns/worse"]
    assert "TypeError: int instead of a string" in logged[0]
    assert errors_of(PODS) == before + 7


def test_what_was_logged_is_not_remembered_without_end(caplog):
    errors = ObjectErrors()
    last = object_errors.MAX_LOGGED
    for at in (*range(last + 1), 0, last):
        errors.add(Key(PODS, "ns", f"p{at}"), "uid", "it failed", ValueError("x" * 100_000))
    logged = [record.getMessage().split(":")[0] for record in caplog.records]
    assert logged == [*(f"Pod ns/p{at}" for at in range(last + 1)), "Pod ns/p0"]
    assert max(len(record.getMessage()) for record in caplog.records) < 500


async def test_the_last_readable_state_stays_until_the_object_is_deleted(run):
    good, bad = pod("bad", owner=owned_by("DaskWorkerGroup", "c-default", "u")), changed(annotations=7)
    cache = await run([good], [("MODIFIED", bad)])
    assert names(cache) == ["bad"]
    cache = await run([good], [("MODIFIED", bad), ("DELETED", bad)])
    assert names(cache) == []
    cache = await run([good], [("MODIFIED", bad), ("MODIFIED", good | {"status": {"phase": "Failed"}})])
    assert cache.get(Key(PODS, "ns", "bad")) is not None


@pytest.mark.parametrize(
    "uid, stays",
    [pytest.param("uid-of-bad", True, id="the same object"), pytest.param("later", False, id="a successor")],
)
def test_a_list_keeps_the_last_readable_state_of_the_same_object(uid, stays):
    cache = Cache(WATCHES, lambda _: None)
    cache.set(cache.record(PODS, pod("bad")))
    cache.set(cache.record(PODS, pod("deleted")))
    cache.replace(PODS, None, [], unreadable={(Key(PODS, "ns", "bad"), uid)})
    assert names(cache) == ["bad"] * stays


async def test_a_watch_ends_for_what_is_no_event_and_goes_on(api, server):
    async def answer(request):
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "5"}, "items": []})
        watches.append(request.query["resourceVersion"])
        if len(watches) == len(lines) + 1:
            done.set()
            await asyncio.Event().wait()
        return web.Response(body=lines[len(watches) - 1] + b"\n")

    lines = [b"7", b"[]", b"{}", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": 7}', b"<html>", b"["]
    watches, done = [], asyncio.Event()
    server.answer = answer
    watched = WATCHES[PODS]
    informer = Informer(api, Cache({PODS: watched}, lambda _: None), watched, "ns", 240, backoff=FAST)
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(done.wait(), 20)
    assert watches == ["5"] * (len(lines) + 1)
    task.cancel()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"items": []}, id="no metadata"),
        pytest.param({"metadata": {}, "items": []}, id="no version"),
        pytest.param({"metadata": {"resourceVersion": "5"}}, id="no items"),
        pytest.param({"metadata": {"resourceVersion": "5"}, "items": 7}, id="the items are a number"),
        pytest.param([], id="a list"),
    ],
)
async def test_an_answer_that_is_no_list_is_asked_for_again(api, server, page):
    async def answer(_):
        answers.append(
            page if len(answers) < 2 else {"metadata": {"resourceVersion": "5"}, "items": [pod("a")]}
        )
        return web.json_response(answers[-1])

    answers = []
    server.answer = answer
    cache = Cache({PODS: WATCHES[PODS]}, lambda _: None)
    informer = Informer(api, cache, WATCHES[PODS], "ns", 240, backoff=FAST)
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.synced.wait(), 20)
    assert names(cache) == ["a"]
    task.cancel()
    await asyncio.wait([task])


async def test_a_deep_object_is_refused_alone(run):
    bodies = {name: cluster(name) for name in ("first", "deep", "second", "deeper", "third")}
    bodies["deep"]["spec"]["worker"]["spec"]["x"] = nested(300)
    bodies["deeper"]["spec"]["scheduler"]["spec"]["x"] = DEEP
    *listed, deeper, third = bodies.values()
    watched = WATCHES[DASK_CLUSTERS]
    cache = await run(listed, [("ADDED", deeper), ("ADDED", third)], watched)
    assert names(cache, DASK_CLUSTERS) == ["first", "second", "third"]
    cache = await run([*listed, deeper, third], [("MODIFIED", deeper)], watched)
    assert names(cache, DASK_CLUSTERS) == ["first", "second", "third"]


async def test_a_part_that_nobody_reads_may_be_deep(run):
    """As managedFields of a pod, which the API server stores as they come."""
    fields = [{"manager": "m", "fieldsV1": {"f:spec": DEEP}}]
    cache = await run([changed(managedFields=fields)], [("ADDED", pod("w", managedFields=fields))])
    assert names(cache) == ["bad", "w"]


def fails(record, world):
    raise LookupError("no such thing")


@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param(fails, id="it raises"),
        pytest.param(lambda *_: None, id="it returns nothing"),
        pytest.param(lambda *_: ["c"], id="it returns names"),
        pytest.param(lambda *_: [Key(SERVICES, "ns", "s")], id="it returns a key that nobody reconciles"),
    ],
)
def test_a_trigger_that_fails_stops_no_other(trigger):
    async def never(key, world):
        raise NotImplementedError

    keys = [Key(DASK_WORKER_GROUPS, "ns", "g")]
    reconcilers = [
        Reconciler(DASK_CLUSTERS, never, triggers={PODS: trigger}),
        Reconciler(DASK_WORKER_GROUPS, never, triggers={PODS: lambda *_: keys}),
    ]
    queue, before = Mock(spec=WorkQueue), errors_of(PODS)
    cache = Cache(WATCHES, lambda change: triggers.enqueue(change))  # noqa: PLW0108  # created after the cache
    triggers = Triggers(reconcilers, queue, cache, cache.errors)
    cache.set(cache.record(PODS, pod("w")))
    assert [call.args for call in queue.put.call_args_list] == [tuple(keys)]
    assert errors_of(PODS) == before + 1
