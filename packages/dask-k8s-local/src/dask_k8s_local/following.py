"""How to keep up with the store: changes of one or many collections, and a set of things to look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Gone, Object, Store, namespace_of

T = TypeVar("T")
_Known = dict[tuple[str, str], Object]


@dataclass(frozen=True, slots=True)
class Change:
    """An object before and after; None: it was not there, or is no more. Both have the same uid."""

    resource: Resource
    old: Object | None
    new: Object | None


Handler = Callable[[Change], None]


async def follow(store: Store, resource: Resource, handle: Handler) -> None:
    """Hand over every change of a collection, first what is there, for ever."""
    await _follow(store, resource, handle, {})


class Followers:
    """Follows several collections, which may come and go."""

    def __init__(self, store: Store, tasks: asyncio.TaskGroup, handle: Handler) -> None:
        self._store = store
        self._tasks = tasks
        self._handle = handle
        self._followed: dict[str, tuple[Resource, _Known, asyncio.Task[None]]] = {}

    def follow(self, resources: Iterable[Resource]) -> None:
        """Follow these collections and no others."""
        wanted = {resource.key: resource for resource in resources}
        for key in self._followed.keys() - wanted.keys():
            resource, known, task = self._followed.pop(key)
            task.cancel()
            for (namespace, name), obj in known.items():
                if self._store.get(resource, namespace, name) is None:
                    self._handle(Change(resource, obj, None))
        for key, resource in wanted.items():
            before = self._followed.get(key)
            if before is None or before[0] is not resource:  # new, or defined anew
                known = before[1] if before else {}
                if before:
                    before[2].cancel()
                task = self._tasks.create_task(_follow(self._store, resource, self._handle, known))
                self._followed[key] = resource, known, task


async def _follow(store: Store, resource: Resource, handle: Handler, known: _Known) -> None:
    def learn(key: tuple[str, str], new: Object | None) -> None:
        old = known.pop(key, None)
        if new is not None:
            known[key] = new
        if old is not None and new is not None and old["metadata"]["uid"] != new["metadata"]["uid"]:
            handle(Change(resource, old, None))
            old = None
        if old is not new:
            handle(Change(resource, old, new))

    while True:  # again from the start when the history was too short
        since, there = store.version, {_key(obj): obj for obj in store.list(resource)}
        for key in [*known.keys() - there.keys()]:
            learn(key, None)
        for key, obj in there.items():
            learn(key, obj)
        with suppress(Gone):
            async for event in store.watch(resource, since=since):
                learn(_key(event.object), None if event.type == "DELETED" else event.object)


def _key(obj: Object) -> tuple[str, str]:
    return namespace_of(obj), obj["metadata"]["name"]


async def changed(store: Store, resources: Iterable[Resource], since: int) -> None:
    """Wait until one of several collections changes after a version."""
    waits = [asyncio.ensure_future(store.changed(resource, since)) for resource in resources]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


class Dirty(Generic[T]):
    """Things to look at: each once, however often it was added meanwhile."""

    def __init__(self) -> None:
        self._things: dict[T, None] = {}
        self._some = asyncio.Event()

    def add(self, *things: T) -> None:
        """Have these looked at, after the others."""
        self._things.update(dict.fromkeys(things))
        if self._things:
            self._some.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yield one after the other, for ever; the rest of the server has its turn between."""
        while True:
            await self._some.wait()
            while self._things:
                thing = next(iter(self._things))
                del self._things[thing]
                yield thing
                await asyncio.sleep(0)
            self._some.clear()
