"""Objects, resourceVersions and watch events in memory. No I/O and no knowledge of kinds.

The store owns all objects that it receives and returns: callers must not mutate them.
Its methods are synchronous, so reads and writes without an `await` in between are atomic.
"""

import asyncio
import random
import uuid
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from dask_k8s_local import json_text
from dask_k8s_local.resources import Resource

Object = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]

_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_NAME_LENGTH_MAX = 63
_SUFFIX_LENGTH = 5
_NAME_ATTEMPTS = 8
_RANDOM = random.Random()
"""Not the shared generator: tests that seed it would get the same uids again."""


class StoreError(Exception):
    """The store rejects an operation."""

    def __init__(self, resource: Resource, name: str, detail: str = "") -> None:
        super().__init__(f"{resource.key} {name!r}: {detail or type(self).__name__}")
        self.resource = resource
        self.name = name
        self.detail = detail


class AlreadyExists(StoreError):
    """An object of that name already exists."""


class NotFound(StoreError):
    """The object does not exist."""


class Conflict(StoreError):
    """The object has changed since it was read, or has another uid."""


class Gone(StoreError):
    """The history does not reach back to the requested version."""


class Dropped(Gone):
    """The collection was removed with its CustomResourceDefinition."""


class Stored(dict[str, Any]):
    """A stored object; its JSON is serialized once and reused in all responses and watch events."""

    __slots__ = ("_json",)
    _json: bytes

    @property
    def json(self) -> bytes:
        """Return the object as JSON, `kind` and `apiVersion` first."""
        try:
            return self._json
        except AttributeError:
            kind, version = self.get("kind"), self.get("apiVersion")
            self._json = json_text.dumps({"kind": kind, "apiVersion": version, **self})
            return self._json


@dataclass(frozen=True, slots=True)
class Event:
    """One change; `previous` is the object before it (None for ADDED)."""

    type: EventType
    object: Stored
    version: int
    previous: Stored | None = None


def namespace_of(obj: Mapping[str, Any]) -> str:
    """Return the namespace of an object, or an empty string for a cluster-scoped one."""
    namespace: str = obj["metadata"].get("namespace") or ""
    return namespace


def _held(resource: Resource, obj: Object) -> bool:
    """Return whether finalizers prevent deletion: in `metadata`, or in the `spec` of a namespace."""
    contains = "finalize" in resource.subresources and (obj.get("spec") or {}).get("finalizers")
    return bool(obj["metadata"].get("finalizers") or contains)


def timestamp(at: datetime | None = None) -> str:
    """Return a time in the format of `metadata`: UTC, whole seconds."""
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Table:
    """Objects and history of one collection."""

    __slots__ = ("events", "floor", "objects", "versions", "waiters")

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Stored]] = {}
        self.events: list[Event] = []
        self.versions: list[int] = []
        self.floor = 0
        """Events up to this version are no longer kept."""
        self.waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake all waiting coroutines."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Store:
    """Every object of the cluster."""

    def __init__(self, *, history: int = 20_000) -> None:
        """Keep at least the last `history` events of each collection."""
        self._history = history
        self._tables: dict[str, _Table] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Return the current resourceVersion."""
        return self._version

    def get(self, resource: Resource, namespace: str | None, name: str) -> Stored | None:
        """Return an object, or None."""
        return self._table(resource).objects.get(namespace or "", {}).get(name)

    def list(self, resource: Resource, namespace: str | None = None) -> list[Stored]:
        """Return the objects of one or all namespaces, ordered by namespace and name."""
        objects = self._table(resource).objects
        spaces = sorted(objects) if namespace is None else [namespace]
        return [space[name] for key in spaces if (space := objects.get(key)) for name in sorted(space)]

    def create(self, resource: Resource, obj: Object) -> Stored:
        """Add an object and set its uid, creationTimestamp, resourceVersion and generated name."""
        return self.insert(resource, self.draft(resource, obj))

    def insert(self, resource: Resource, draft: Stored) -> Stored:
        """Add an object that `draft` has returned."""
        self.check_free(resource, draft)
        return self._write(resource, "ADDED", draft, None)

    def check_free(self, resource: Resource, obj: Object) -> None:
        """Raise AlreadyExists if the name is in use."""
        name = obj["metadata"]["name"]
        present = self.get(resource, namespace_of(obj), name)
        if present is not None:
            detail = "object is being deleted" if present["metadata"].get("deletionTimestamp") else ""
            raise AlreadyExists(resource, name, detail)

    def draft(self, resource: Resource, obj: Object) -> Stored:
        """Return the object that `create` would store, without its resourceVersion."""
        metadata = {**obj["metadata"]}
        if not metadata.get("name"):
            metadata["name"] = self._generate_name(resource, metadata)
        metadata["uid"] = str(uuid.UUID(int=_RANDOM.getrandbits(128), version=4))
        metadata["creationTimestamp"] = timestamp()
        metadata.pop("resourceVersion", None)
        return Stored({**obj, "metadata": metadata})

    def update(self, resource: Resource, obj: Object) -> Stored:
        """Replace an object; if it is being deleted and has no finalizers any more, remove it.

        If `obj` has a resourceVersion or uid, it must match the stored one.
        An update without changes creates no version and no event.
        """
        metadata = {**obj["metadata"]}
        name = metadata["name"]
        old = self._existing(resource, namespace_of(obj), name)
        self._check_uid(resource, old, metadata.get("uid"))
        current = old["metadata"]
        if metadata.get("resourceVersion") not in (None, "", current["resourceVersion"]):
            raise Conflict(resource, name)
        for key in ("uid", "creationTimestamp", "resourceVersion"):
            metadata[key] = current[key]
        new = Stored({**obj, "metadata": metadata})
        if new == old:
            return old
        if metadata.get("deletionTimestamp") and not (
            metadata.get("deletionGracePeriodSeconds") or _held(resource, new)
        ):
            return self._write(resource, "DELETED", new, old)
        return self._write(resource, "MODIFIED", new, old)

    def delete(
        self, resource: Resource, namespace: str | None, name: str, *, uid: str | None = None
    ) -> Stored:
        """Remove an object, or, while it has finalizers, set its deletionTimestamp (see `update`)."""
        old = self._existing(resource, namespace or "", name)
        self._check_uid(resource, old, uid)
        metadata = old["metadata"]
        if not _held(resource, old):
            return self._write(resource, "DELETED", Stored(old), old)
        marked = {
            "deletionTimestamp": metadata.get("deletionTimestamp") or timestamp(),
            "deletionGracePeriodSeconds": 0,
        }
        return self.update(resource, {**old, "metadata": {**metadata, **marked}})

    async def watch(
        self, resource: Resource, namespace: str | None = None, since: int | None = None
    ) -> AsyncIterator[Event]:
        """Yield events after a version until cancelled; without a version, existing objects come first.

        Raises Gone if the history no longer contains the next event.
        """
        if since is None:
            since = self._version
            for obj in self.list(resource, namespace):
                yield Event("ADDED", obj, int(obj["metadata"]["resourceVersion"]))
        while True:
            for event in self.events(resource, since):
                since = event.version
                if namespace is None or namespace_of(event.object) == namespace:
                    yield event
            await self.wait_for_change(resource, since)

    def events(self, resource: Resource, since: int) -> Iterator[Event]:
        """Return the events so far after a version."""
        table = self._table(resource)
        if since < table.floor:
            raise Gone(resource, str(since), f"too old resource version: {since} ({table.floor})")
        return iter(table.events[bisect_right(table.versions, since) :])

    async def wait_for_change(self, resource: Resource, since: int) -> None:
        """Wait until there is an event after a version; raises Dropped when the collection is removed."""
        table = self._table(resource)
        while not (table.versions and table.versions[-1] > since):
            waiter = asyncio.get_running_loop().create_future()
            table.waiters.add(waiter)
            try:
                await waiter
            finally:
                table.waiters.discard(waiter)
            if self._tables.get(resource.key) is not table:
                raise Dropped(resource, "", "the collection was removed")

    def drop(self, resource: Resource) -> None:
        """Remove an empty collection; watches on it end."""
        table = self._tables.pop(resource.key, None)
        if table is not None:
            table.notify()

    def _table(self, resource: Resource) -> _Table:
        try:
            return self._tables[resource.key]
        except KeyError:
            return self._tables.setdefault(resource.key, _Table())

    def _existing(self, resource: Resource, namespace: str, name: str) -> Stored:
        obj = self.get(resource, namespace, name)
        if obj is None:
            raise NotFound(resource, name)
        return obj

    @staticmethod
    def _check_uid(resource: Resource, obj: Object, uid: str | None) -> None:
        current = obj["metadata"]["uid"]
        if uid and uid != current:
            name = obj["metadata"]["name"]
            place = "/".join(filter(None, (resource.group, resource.plural, namespace_of(obj), name)))
            detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {current}"
            key = f"Key: /registry/{place}, ResourceVersion: 0"
            raise Conflict(
                resource, name, f"StorageError: invalid object, Code: 4, {key}, AdditionalErrorMsg: {detail}"
            )

    def _generate_name(self, resource: Resource, metadata: Object) -> str:
        prefix = metadata["generateName"][: _NAME_LENGTH_MAX - _SUFFIX_LENGTH]
        names = self._table(resource).objects.get(metadata.get("namespace") or "", {})
        for _ in range(_NAME_ATTEMPTS):
            name: str = prefix + "".join(_RANDOM.choices(_NAME_ALPHABET, k=_SUFFIX_LENGTH))
            if name not in names:
                return name
        raise AlreadyExists(resource, name)

    def _write(self, resource: Resource, kind: EventType, new: Stored, old: Stored | None) -> Stored:
        table = self._table(resource)
        self._version += 1
        metadata = new["metadata"] = {**new["metadata"], "resourceVersion": str(self._version)}
        space = table.objects.setdefault(namespace_of(new), {})
        if kind == "DELETED":
            del space[metadata["name"]]
        else:
            space[metadata["name"]] = new
        table.events.append(Event(kind, new, self._version, old))
        table.versions.append(self._version)
        if len(table.events) >= 2 * self._history:  # trimmed rarely, so that the cost per event stays small
            table.floor = table.versions[-self._history - 1]
            del table.events[: -self._history], table.versions[: -self._history]
        table.notify()
        return new
