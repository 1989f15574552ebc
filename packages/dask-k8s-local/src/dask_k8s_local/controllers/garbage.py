"""The garbage collector: deletes objects whose owners are all deleted. Treats all kinds alike."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dask_k8s_local.controllers.client import Delete, Forbidden, ServedResources, deletable_resources
from dask_k8s_local.controllers.owner_graph import (
    FOREGROUND,
    ORPHAN,
    ObjectKey,
    OwnerGraph,
    Reference,
    blocks,
    owners,
    pending_finalizer,
    propagation,
)
from dask_k8s_local.events import Recorder
from dask_k8s_local.informer import Change, DynamicInformers, WorkQueue, run_informer
from dask_k8s_local.resources import CRDS, EVENTS, Resource
from dask_k8s_local.store import Object, Store, StoreError, namespace_of


@dataclass(slots=True)
class _Owners:
    """The owner references of an object, by the state of the owner."""

    present: list[Reference] = field(default_factory=list)
    deleted: list[Reference] = field(default_factory=list)
    waiting: list[Reference] = field(default_factory=list)
    """Owners in foreground deletion, which wait for their dependents."""


class _UnknownOwner(Exception):
    """It is unknown whether the owner exists, because its kind is not served."""


class GarbageCollector:
    """Deletes dependents and finishes foreground deletion and orphaning.

    Changes only enqueue uids; decisions use the current objects of the store.
    """

    def __init__(self, store: Store, resources: ServedResources, delete: Delete) -> None:
        self._store = store
        self._resources = resources
        self._delete = delete
        self._recorder = Recorder(store, "garbage-collector-controller")
        self._graph = OwnerGraph(store)
        self._unresolved: set[str] = set()
        self._queue: WorkQueue[str] = WorkQueue()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            informers = DynamicInformers(
                self._store, tasks, lambda change: self._queue.add(*self._graph.update(change))
            )

            def find_collections(_: Change | None = None) -> None:
                informers.set_resources(self._collections())
                self._queue.add(*self._unresolved)

            find_collections()
            tasks.create_task(run_informer(self._store, CRDS, find_collections))
            async for uid in self._queue:
                # After a conflict, a newer change enqueues the uid again; some namespaces are protected.
                with suppress(StoreError, Forbidden):
                    self._process(uid)

    def _collections(self) -> list[Resource]:
        return [one for one in deletable_resources(self._resources).values() if one.key != EVENTS.key]

    def _process(self, uid: str) -> None:
        self._unresolved.discard(uid)
        found = self._graph.get(uid)
        if found is None:
            return
        key, obj = found
        if pending_finalizer(obj) == ORPHAN:
            self._orphan(key.resource, obj)
        elif pending_finalizer(obj) == FOREGROUND:
            self._end_foreground(key.resource, obj)
        elif not obj["metadata"].get("deletionTimestamp"):
            try:
                self._process_owners(key, obj, self._classify_owners(key, obj))
            except _UnknownOwner:
                self._unresolved.add(uid)

    def _process_owners(self, key: ObjectKey, obj: Object, by_state: _Owners) -> None:
        """Delete an object without remaining owners, or remove references to deleted owners."""
        removed = {reference["uid"] for reference in (*by_state.deleted, *by_state.waiting)}
        if not removed:
            return
        if by_state.present:
            self._remove_owners(key.resource, obj, removed)
            return
        uid, how = obj["metadata"]["uid"], propagation(obj)
        if by_state.waiting and (dependents := self._graph.dependents(uid)):
            how = "Foreground"
            found = (self._graph.get(dependent) for dependent in dependents)
            if any(one is not None and pending_finalizer(one[1]) == FOREGROUND for one in found):
                self._unblock(key.resource, obj)  # otherwise, both would wait for each other
        self._delete(key.resource, key.namespace or None, key.name, uid, propagation=how)

    def _classify_owners(self, key: ObjectKey, obj: Object) -> _Owners:
        by_state = _Owners()
        for reference in owners(obj):
            owner = self._owner(key, obj, reference)
            if owner is None:
                by_state.deleted.append(reference)
            elif pending_finalizer(owner) == FOREGROUND:
                by_state.waiting.append(reference)
            else:
                by_state.present.append(reference)
        return by_state

    def _owner(self, key: ObjectKey, obj: Object, reference: Reference) -> Object | None:
        uid = reference["uid"]
        if self._graph.is_gone(uid):
            return None
        group = reference["apiVersion"].rpartition("/")[0]
        kinds = (one for one in self._resources() if (one.group, one.kind) == (group, reference["kind"]))
        resource = next(kinds, None)
        if resource is None:
            raise _UnknownOwner
        if resource.namespaced and not key.namespace:
            self._warn_wrong_namespace(obj, reference)
            raise _UnknownOwner
        owner = self._store.get(resource, key.namespace if resource.namespaced else None, reference["name"])
        if owner is not None and owner["metadata"]["uid"] == uid:
            return owner
        elsewhere = self._graph.key(uid)
        if elsewhere is not None and elsewhere.namespace != key.namespace:
            self._warn_wrong_namespace(obj, reference)
        return None

    def _warn_wrong_namespace(self, obj: Object, reference: Reference) -> None:
        namespace = namespace_of(obj)
        where = f"{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}"
        which = f"name: {reference['name']}, uid: {reference['uid']}"
        message = f'ownerRef [{where}, {which}] does not exist in namespace "{namespace}"'
        self._recorder.record(obj, "Warning", "OwnerRefInvalidNamespace", message)

    def _orphan(self, resource: Resource, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for kind, dependent in [*self._find_dependents(owner)]:
            self._remove_owners(kind, dependent, {uid})
        self._remove_finalizer(resource, owner, ORPHAN)

    def _end_foreground(self, resource: Resource, owner: Object) -> None:
        """Remove the finalizer of an owner when no dependent blocks its deletion."""
        uid = owner["metadata"]["uid"]
        known = (self._graph.get(dependent) for dependent in self._graph.dependents(uid))
        if any(one is not None and blocks(one[1], uid) for one in known):
            return
        if not any(blocks(obj, uid) for _, obj in self._find_dependents(owner)):
            self._remove_finalizer(resource, owner, FOREGROUND)

    def _find_dependents(self, owner: Object) -> Iterator[tuple[Resource, Object]]:
        """Search the store, because the owner graph may not contain new dependents yet."""
        uid, namespace = owner["metadata"]["uid"], namespace_of(owner)
        for resource in self._collections():
            for obj in self._store.list(resource, namespace or None):
                if any(reference["uid"] == uid for reference in owners(obj)):
                    yield resource, obj

    def _remove_owners(self, resource: Resource, obj: Object, uids: Iterable[str]) -> None:
        left = [reference for reference in owners(obj) if reference["uid"] not in uids]
        self._write(resource, obj, "ownerReferences", left)

    def _unblock(self, resource: Resource, obj: Object) -> None:
        freed = [
            {**reference, "blockOwnerDeletion": False} if reference.get("blockOwnerDeletion") else reference
            for reference in owners(obj)
        ]
        self._write(resource, obj, "ownerReferences", freed)

    def _remove_finalizer(self, resource: Resource, obj: Object, finalizer: str) -> None:
        left = [one for one in obj["metadata"]["finalizers"] if one != finalizer]
        self._write(resource, obj, "finalizers", left)

    def _write(self, resource: Resource, obj: Object, key: str, value: Sequence[Any]) -> None:
        metadata = {name: part for name, part in obj["metadata"].items() if name != key}
        changed = {**metadata, key: value} if value else metadata
        self._store.update(resource, {**obj, "metadata": changed})
