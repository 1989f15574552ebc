"""The store: objects, versions and history."""

import asyncio
import itertools

import pytest

from dask_k8s_local.resources import CONFIGMAPS, NAMESPACES, PODS
from dask_k8s_local.store import AlreadyExists, Conflict, Dropped, Gone, NotFound, Store


def named(name, namespace="n", **more):
    return {"metadata": {"name": name, "namespace": namespace, **more}}


@pytest.fixture
def store():
    return Store(history=5)


async def first(events, count):
    """Return the first items."""
    return [(event.type, event.object["metadata"]["name"]) async for event in limited(events, count)]


async def limited(events, count):
    for _ in range(count):
        yield await anext(events)


class TestWrites:
    def test_versions_grow(self, store):
        versions = [int(store.create(PODS, named(str(n)))["metadata"]["resourceVersion"]) for n in range(3)]
        assert versions == sorted(set(versions))
        assert store.version == versions[-1]

    def test_names_are_of_a_namespace(self, store):
        store.create(PODS, named("a"))
        store.create(PODS, named("a", "m"))
        with pytest.raises(AlreadyExists):
            store.create(PODS, named("a"))
        assert [one["metadata"]["namespace"] for one in store.list(PODS)] == ["m", "n"]

    def test_update_of_nothing_new_is_none(self, store):
        made = store.create(PODS, named("a"))
        assert store.update(PODS, {**made}) is made
        assert store.version == 1

    def test_update_of_an_old_version(self, store):
        made = store.create(PODS, named("a"))
        store.update(PODS, {**made, "x": 1})
        with pytest.raises(Conflict):
            store.update(PODS, {**made, "x": 2})
        with pytest.raises(NotFound):
            store.update(PODS, named("b"))

    def test_another_of_the_name(self, store):
        store.create(PODS, named("a"))
        with pytest.raises(Conflict, match="UID in precondition"):
            store.delete(PODS, "n", "a", uid="x")

    def test_finalizers_hold(self, store):
        store.create(PODS, named("a", finalizers=["x"]))
        marked = store.delete(PODS, "n", "a")
        assert (marked["metadata"]["deletionGracePeriodSeconds"], store.get(PODS, "n", "a")) == (0, marked)
        metadata = {key: value for key, value in marked["metadata"].items() if key != "finalizers"}
        store.update(PODS, {**marked, "metadata": metadata})
        assert store.get(PODS, "n", "a") is None

    def test_grace_holds(self, store):
        made = store.create(PODS, named("a"))
        marks = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30}
        marked = store.update(PODS, {**made, "metadata": {**made["metadata"], **marks}})
        assert store.get(PODS, "n", "a") is marked

    def test_content_holds_a_namespace(self, store):
        store.create(NAMESPACES, {"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}})
        marked = store.delete(NAMESPACES, None, "n")
        assert store.get(NAMESPACES, None, "n") is marked
        store.update(NAMESPACES, {**marked, "spec": {}})
        assert store.get(NAMESPACES, None, "n") is None

    def test_json_is_made_once(self, store):
        made = store.create(PODS, {**named("a"), "kind": "Pod", "apiVersion": "v1"})
        assert made.json.startswith(b'{"kind":"Pod","apiVersion":"v1",')
        assert made.json is store.get(PODS, "n", "a").json


class TestWatch:
    async def test_from_the_start(self, store):
        store.create(PODS, named("a"))
        store.create(CONFIGMAPS, named("other"))
        events = store.watch(PODS)
        assert await first(events, 1) == [("ADDED", "a")]
        made = store.create(PODS, named("b"))
        store.update(PODS, {**made, "x": 1})
        store.delete(PODS, "n", "b")
        assert await first(events, 3) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]

    async def test_of_a_namespace(self, store):
        events = store.watch(PODS, "n", since=0)
        store.create(PODS, named("a", "m"))
        store.create(PODS, named("b"))
        assert await first(events, 1) == [("ADDED", "b")]

    async def test_notifies_waiting_tasks(self, store):
        waiting = asyncio.create_task(first(store.watch(PODS), 1))
        await asyncio.sleep(0)
        store.create(PODS, named("a"))
        assert await waiting == [("ADDED", "a")]

    async def test_past_the_history(self, store):
        for n in range(20):
            store.create(PODS, named(str(n)))
        with pytest.raises(Gone, match=r"too old resource version: 1 \(\d+\)"):
            await anext(store.watch(PODS, since=1))
        kept = list(store.events(PODS, store.version - 5))
        assert [event.object["metadata"]["name"] for event in kept] == [str(n) for n in range(15, 20)]

    async def test_history_is_of_a_collection(self, store):
        store.create(CONFIGMAPS, named("kept"))
        for n in range(20):
            store.create(PODS, named(str(n)))
        assert await first(store.watch(CONFIGMAPS, since=0), 1) == [("ADDED", "kept")]

    async def test_too_slow(self, store):
        events = store.watch(PODS)
        store.create(PODS, named("first"))
        await anext(events)
        for n in range(20):
            store.create(PODS, named(str(n)))
        with pytest.raises(Gone):
            await first(events, 20)

    async def test_collection_ends(self, store):
        waiting = asyncio.create_task(first(store.watch(PODS), 1))
        await asyncio.sleep(0)
        store.drop(PODS)
        with pytest.raises(Dropped):
            await waiting

    def test_knows_what_was_before(self, store):
        made = store.create(PODS, named("a"))
        changed = store.update(PODS, {**made, "x": 1})
        store.delete(PODS, "n", "a")
        before = [event.previous for event in store.events(PODS, 0)]
        assert before == [None, made, changed]


def test_generated_names_avoid_each_other(store):
    body = {"metadata": {"generateName": "a-", "namespace": "n"}}
    names = {store.create(PODS, body)["metadata"]["name"] for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("a-") and len(name) == 7 for name in itertools.islice(names, 5))
