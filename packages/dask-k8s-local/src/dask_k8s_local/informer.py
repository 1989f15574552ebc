"""Informers and the work queue that every controller here uses.

An informer calls a handler with each change of a collection. This module contains no decisions about objects.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Gone, Object, Store, namespace_of

T = TypeVar("T")
_Cache = dict[tuple[str, str], Object]


@dataclass(frozen=True, slots=True)
class Change:
    """An object before and after a change; both have the same uid.

    `old` is None for an object that was added, `new` for one that was deleted.
    """

    resource: Resource
    old: Object | None
    new: Object | None


Handler = Callable[[Change], None]


async def run_informer(store: Store, resource: Resource, handle: Handler) -> None:
    """Call a handler for every existing object and every later change of a collection until cancelled."""
    await _run(store, resource, handle, {})


class DynamicInformers:
    """One informer for each collection of a set that can change."""

    def __init__(self, store: Store, tasks: asyncio.TaskGroup, handle: Handler) -> None:
        self._store = store
        self._tasks = tasks
        self._handle = handle
        self._running: dict[str, tuple[Resource, _Cache, asyncio.Task[None]]] = {}

    def set_resources(self, resources: Iterable[Resource]) -> None:
        """Start and stop informers until exactly these collections have one."""
        desired = {resource.key: resource for resource in resources}
        for key in self._running.keys() - desired.keys():
            resource, cache, task = self._running.pop(key)
            task.cancel()
            for (namespace, name), obj in cache.items():
                if self._store.get(resource, namespace, name) is None:
                    self._handle(Change(resource, obj, None))
        for key, resource in desired.items():
            before = self._running.get(key)
            if before is None or before[0] is not resource:  # new, or its CRD was created again
                cache = before[1] if before else {}
                if before:
                    before[2].cancel()
                task = self._tasks.create_task(_run(self._store, resource, self._handle, cache))
                self._running[key] = resource, cache, task


async def _run(store: Store, resource: Resource, handle: Handler, cache: _Cache) -> None:
    def update(key: tuple[str, str], new: Object | None) -> None:
        old = cache.pop(key, None)
        if new is not None:
            cache[key] = new
        if old is not None and new is not None and old["metadata"]["uid"] != new["metadata"]["uid"]:
            handle(Change(resource, old, None))
            old = None
        if old is not new:
            handle(Change(resource, old, new))

    while True:  # list again whenever the history no longer reaches back to the last version seen
        since, existing = store.version, {_key(obj): obj for obj in store.list(resource)}
        for key in [*cache.keys() - existing.keys()]:
            update(key, None)
        for key, obj in existing.items():
            update(key, obj)
        with suppress(Gone):
            async for event in store.watch(resource, since=since):
                update(_key(event.object), None if event.type == "DELETED" else event.object)


def _key(obj: Object) -> tuple[str, str]:
    return namespace_of(obj), obj["metadata"]["name"]


async def wait_for_any_change(store: Store, resources: Iterable[Resource], since: int) -> None:
    """Wait until one of several collections changes after a version."""
    waits = [asyncio.ensure_future(store.wait_for_change(resource, since)) for resource in resources]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


class WorkQueue(Generic[T]):
    """Keys to process; a key that is added several times before its turn is processed once."""

    def __init__(self) -> None:
        self._keys: dict[T, None] = {}
        self._nonempty = asyncio.Event()

    def add(self, *keys: T) -> None:
        """Enqueue keys."""
        self._keys.update(dict.fromkeys(keys))
        if self._keys:
            self._nonempty.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield one key after the other until cancelled; other tasks run in between."""
        while True:
            await self._nonempty.wait()
            while self._keys:
                key = next(iter(self._keys))
                del self._keys[key]
                yield key
                await asyncio.sleep(0)
            self._nonempty.clear()
