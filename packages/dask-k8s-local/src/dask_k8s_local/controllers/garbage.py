"""The garbage collector: what belongs to owners that are all gone, goes. Knows no kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dask_k8s_local.controllers.doors import Delete, Forbidden, Resources, collections
from dask_k8s_local.controllers.ownership import (
    FOREGROUND,
    ORPHAN,
    Ownership,
    Place,
    Reference,
    blocks,
    going,
    owners,
    propagation,
)
from dask_k8s_local.events import Recorder
from dask_k8s_local.following import Change, Dirty, Followers, follow
from dask_k8s_local.resources import CRDS, EVENTS, Resource
from dask_k8s_local.store import Object, Store, StoreError, namespace_of


@dataclass(slots=True)
class _Owners:
    """The owners of an object, by what has become of them."""

    solid: list[Reference] = field(default_factory=list)
    gone: list[Reference] = field(default_factory=list)
    waiting: list[Reference] = field(default_factory=list)  # for their dependents to go first


class _Unclear(Exception):
    """Nobody can say whether there is such an owner."""


class GarbageCollector:
    """Deletes dependents, ends orphaning and foreground deletions.

    Changes only tell it whom to look at; what it then does, it decides on what the store has.
    """

    def __init__(self, store: Store, resources: Resources, delete: Delete) -> None:
        self._store = store
        self._resources = resources
        self._delete = delete
        self._recorder = Recorder(store, "garbage-collector-controller")
        self._ownership = Ownership(store)
        self._unclear: set[str] = set()
        self._dirty: Dirty[str] = Dirty()

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            followers = Followers(
                self._store, tasks, lambda change: self._dirty.add(*self._ownership.learn(change))
            )

            def find_collections(_: Change | None = None) -> None:
                followers.follow(self._collections())
                self._dirty.add(*self._unclear)

            find_collections()
            tasks.create_task(follow(self._store, CRDS, find_collections))
            async for uid in self._dirty:
                with suppress(StoreError, Forbidden):  # a change is on its way here; `default` stays
                    self._look_at(uid)

    def _collections(self) -> list[Resource]:
        return [one for one in collections(self._resources).values() if one.key != EVENTS.key]

    def _look_at(self, uid: str) -> None:
        self._unclear.discard(uid)
        found = self._ownership.get(uid)
        if found is None:
            return
        place, obj = found
        if going(obj) == ORPHAN:
            self._orphan(place.resource, obj)
        elif going(obj) == FOREGROUND:
            self._end_foreground(place.resource, obj)
        elif not obj["metadata"].get("deletionTimestamp"):
            try:
                self._judge(place, obj, self._classify(place, obj))
            except _Unclear:
                self._unclear.add(uid)

    def _judge(self, place: Place, obj: Object, known: _Owners) -> None:
        """Delete an object whose last owner went; or take those that went off the list of its owners."""
        leaving = {reference["uid"] for reference in (*known.gone, *known.waiting)}
        if not leaving:
            return
        if known.solid:
            self._disown(place.resource, obj, leaving)
            return
        uid, how = obj["metadata"]["uid"], propagation(obj)
        if known.waiting and (dependents := self._ownership.dependents(uid)):
            how = "Foreground"
            found = (self._ownership.get(dependent) for dependent in dependents)
            if any(one is not None and going(one[1]) == FOREGROUND for one in found):
                self._unblock(place.resource, obj)  # or two would wait for each other
        self._delete(place.resource, place.namespace or None, place.name, uid, propagation=how)

    def _classify(self, place: Place, obj: Object) -> _Owners:
        known = _Owners()
        for reference in owners(obj):
            owner = self._owner(place, obj, reference)
            if owner is None:
                known.gone.append(reference)
            elif going(owner) == FOREGROUND:
                known.waiting.append(reference)
            else:
                known.solid.append(reference)
        return known

    def _owner(self, place: Place, obj: Object, reference: Reference) -> Object | None:
        uid = reference["uid"]
        if self._ownership.is_gone(uid):
            return None
        group = reference["apiVersion"].rpartition("/")[0]
        kinds = (one for one in self._resources() if (one.group, one.kind) == (group, reference["kind"]))
        resource = next(kinds, None)
        if resource is None:
            raise _Unclear
        if resource.namespaced and not place.namespace:
            self._complain(obj, reference)
            raise _Unclear
        owner = self._store.get(resource, place.namespace if resource.namespaced else None, reference["name"])
        if owner is not None and owner["metadata"]["uid"] == uid:
            return owner
        elsewhere = self._ownership.place(uid)
        if elsewhere is not None and elsewhere.namespace != place.namespace:
            self._complain(obj, reference)
        return None

    def _complain(self, obj: Object, reference: Reference) -> None:
        namespace = namespace_of(obj)
        where = f"{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}"
        which = f"name: {reference['name']}, uid: {reference['uid']}"
        message = f'ownerRef [{where}, {which}] does not exist in namespace "{namespace}"'
        self._recorder.record(obj, "Warning", "OwnerRefInvalidNamespace", message)

    def _orphan(self, resource: Resource, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for kind, dependent in [*self._find_dependents(owner)]:
            self._disown(kind, dependent, {uid})
        self._release(resource, owner, ORPHAN)

    def _end_foreground(self, resource: Resource, owner: Object) -> None:
        """Let an owner go when no dependent blocks that any more."""
        uid = owner["metadata"]["uid"]
        known = (self._ownership.get(dependent) for dependent in self._ownership.dependents(uid))
        if any(one is not None and blocks(one[1], uid) for one in known):
            return
        if not any(blocks(obj, uid) for _, obj in self._find_dependents(owner)):
            self._release(resource, owner, FOREGROUND)

    def _find_dependents(self, owner: Object) -> Iterator[tuple[Resource, Object]]:
        """Search everything: a dependent may be so new that its change has not come here yet."""
        uid, namespace = owner["metadata"]["uid"], namespace_of(owner)
        for resource in self._collections():
            for obj in self._store.list(resource, namespace or None):
                if any(reference["uid"] == uid for reference in owners(obj)):
                    yield resource, obj

    def _disown(self, resource: Resource, obj: Object, uids: Iterable[str]) -> None:
        left = [reference for reference in owners(obj) if reference["uid"] not in uids]
        self._write(resource, obj, "ownerReferences", left)

    def _unblock(self, resource: Resource, obj: Object) -> None:
        freed = [
            {**reference, "blockOwnerDeletion": False} if reference.get("blockOwnerDeletion") else reference
            for reference in owners(obj)
        ]
        self._write(resource, obj, "ownerReferences", freed)

    def _release(self, resource: Resource, obj: Object, finalizer: str) -> None:
        left = [one for one in obj["metadata"]["finalizers"] if one != finalizer]
        self._write(resource, obj, "finalizers", left)

    def _write(self, resource: Resource, obj: Object, key: str, value: Sequence[Any]) -> None:
        metadata = {name: part for name, part in obj["metadata"].items() if name != key}
        changed = {**metadata, key: value} if value else metadata
        self._store.update(resource, {**obj, "metadata": changed})
