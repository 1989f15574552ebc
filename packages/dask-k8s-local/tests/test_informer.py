"""Informers and the work queue."""

import asyncio
from dataclasses import replace

from dask_k8s_local.informer import Change, DynamicInformers, WorkQueue, run_informer
from dask_k8s_local.resources import CONFIGMAPS, SECRETS
from dask_k8s_local.store import Store


def config_map(name, value=""):
    metadata = {"name": name, "namespace": "ns"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


def short(change: Change):
    return tuple(one and (one["metadata"]["name"], one["data"]["value"]) for one in (change.old, change.new))


class Seen:
    """Records changes; `until` waits for a number of them."""

    def __init__(self):
        self.changes = []
        self.more = asyncio.Event()

    def __call__(self, change):
        self.changes.append(short(change))
        self.more.set()

    async def until(self, count):
        async with asyncio.timeout(30):
            while len(self.changes) < count:
                self.more.clear()
                await self.more.wait()
        found, self.changes = self.changes, []
        return found


async def test_changes_of_a_collection():
    store, seen = Store(), Seen()
    store.create(CONFIGMAPS, config_map("a", "1"))
    task = asyncio.create_task(run_informer(store, CONFIGMAPS, seen))
    assert await seen.until(1) == [(None, ("a", "1"))]
    store.update(CONFIGMAPS, config_map("a", "2"))
    store.delete(CONFIGMAPS, "ns", "a")
    assert await seen.until(2) == [(("a", "1"), ("a", "2")), (("a", "2"), None)]
    task.cancel()


async def test_a_history_that_is_too_short():
    store, seen = Store(history=2), Seen()
    for name in ("goes", "stays", "changes", "comes again"):
        store.create(CONFIGMAPS, config_map(name))
    task = asyncio.create_task(run_informer(store, CONFIGMAPS, seen))
    await seen.until(4)
    store.delete(CONFIGMAPS, "ns", "goes")
    store.delete(CONFIGMAPS, "ns", "comes again")
    store.create(CONFIGMAPS, config_map("comes again"))
    for value in "12345":
        store.update(CONFIGMAPS, config_map("changes", value))
    assert await seen.until(4) == [
        (("goes", ""), None),
        (("changes", ""), ("changes", "5")),
        (("comes again", ""), None),
        (None, ("comes again", "")),
    ]
    task.cancel()


async def test_collections_come_and_go():
    store, seen = Store(), Seen()
    store.create(CONFIGMAPS, config_map("a"))
    async with asyncio.TaskGroup() as tasks:
        informers = DynamicInformers(store, tasks, seen)
        informers.set_resources([CONFIGMAPS])
        assert await seen.until(1) == [(None, ("a", ""))]
        informers.set_resources([CONFIGMAPS, SECRETS])
        store.create(SECRETS, config_map("b"))
        assert await seen.until(1) == [(None, ("b", ""))]
        informers.set_resources([CONFIGMAPS])
        assert seen.changes == []
        store.delete(CONFIGMAPS, "ns", "a")
        informers.set_resources([])
        assert seen.changes == [(("a", ""), None)]


async def test_a_collection_is_recreated():
    store, seen = Store(), Seen()
    store.create(CONFIGMAPS, config_map("a"))
    store.create(CONFIGMAPS, config_map("b"))
    async with asyncio.TaskGroup() as tasks:
        informers = DynamicInformers(store, tasks, seen)
        informers.set_resources([CONFIGMAPS])
        await seen.until(2)
        informers.set_resources([replace(CONFIGMAPS)])
        store.delete(CONFIGMAPS, "ns", "a")
        assert await seen.until(1) == [(("a", ""), None)]
        store.delete(CONFIGMAPS, "ns", "b")
        store.drop(CONFIGMAPS)
        informers.set_resources([replace(CONFIGMAPS)])
        store.create(CONFIGMAPS, config_map("c"))
        assert await seen.until(2) == [(("b", ""), None), (None, ("c", ""))]
        informers.set_resources([])


async def test_each_key_is_processed_once():
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a", "b", "a")
    seen = []
    async with asyncio.timeout(30):
        async for thing in queue:
            seen.append(thing)
            if thing == "b":
                queue.add("c", "a")
            if len(seen) == 4:
                break
    assert seen == ["a", "b", "c", "a"]
