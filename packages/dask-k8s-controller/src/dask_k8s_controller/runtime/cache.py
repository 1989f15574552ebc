"""The objects that the watches have shown, trimmed, by name, by owner and by index. No I/O, no clock.

An object that cannot be read is skipped. If an earlier state of it is in the cache, that state stays, as if
the watch lagged behind for this object: without it, a scheduler that holds data would seem to be gone, and
its workers would be deleted. What is deleted because of a stale state is safe for the same reasons as behind
a lagging watch. The object itself is not reconciled until it can be read (`dask.reconcile_guard`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import orjson

from dask_k8s_controller.runtime.object_errors import OBJECT_ERRORS, ObjectErrors, identify
from dask_k8s_controller.runtime.objects import Body, Key, Owner, controller_of, key_of
from dask_k8s_crds.resources import Resource

T = TypeVar("T")


def whole(body: Body) -> Body:
    """Return the whole object without ``managedFields``; raise `ValueError` if it is nested too deeply."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    trimmed = {**body, "metadata": metadata}
    try:
        # What cannot be written cannot be passed on to children either.
        orjson.dumps(trimmed)
    except orjson.JSONEncodeError as error:
        raise ValueError("it is nested more than 254 levels deep") from error
    return trimmed


@dataclass(frozen=True, slots=True)
class Watched:
    """A resource to watch and to hold in the cache.

    The API server applies the label ``selector`` and the field selector ``fields``. Of each object, ``trim``
    returns the part that reconcilers read and that stays in memory, and ``index`` the value by which
    `World.find` finds it, or None.
    """

    resource: Resource
    selector: str = ""
    trim: Callable[[Body], Any] = whole
    index: Callable[[Body], str | None] | None = None
    fields: str = ""


class Record(NamedTuple):
    """One object in the cache; ``value`` is what `Watched.trim` returned for it."""

    key: Key
    uid: str
    version: int
    deleting: bool
    owner: Owner | None
    indexed: str | None
    value: Any

    @property
    def as_owner(self) -> Owner:
        """How owner references of other objects name this one."""
        return Owner.of(self.key, self.uid)

    def is_controlled_by(self, other: "Record") -> bool:
        """Return whether ``other`` controls this object; an owner in another namespace is not an owner."""
        return self.key.namespace == other.key.namespace and self.owner == other.as_owner


class Change(NamedTuple):
    """An object was stored or deleted; ``record`` is its newest known state, even of a deleted one."""

    record: Record
    deleted: bool = False


@dataclass(slots=True)
class Cache:
    """All observed objects of the resources in ``watches``; ``listener`` is called after each change."""

    watches: Mapping[Resource, Watched]
    listener: Callable[[Change], None]
    errors: ObjectErrors = field(default_factory=ObjectErrors)
    _records: dict[Resource, dict[tuple[str, str], Record]] = field(default_factory=dict)
    _owned: dict[tuple[str, Owner], dict[Key, Record]] = field(default_factory=dict)
    """The objects that name an owner, by their namespace and this owner."""
    _owners: dict[Owner, Owner] = field(default_factory=dict)
    _indexed: dict[tuple[Resource, str, str], dict[Key, Record]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for resource in self.watches:
            # Export 0 from the start: Prometheus sees no increase in a series that begins with 1.
            OBJECT_ERRORS.labels(str(resource))

    def get(self, key: Key) -> Record | None:
        """Return one object, or None if the cache does not have it."""
        return self._records.get(key.resource, {}).get((key.namespace, key.name))

    def all(self, resource: Resource) -> list[Record]:
        """Return all objects of a resource."""
        return list(self._records.get(resource, {}).values())

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        """Return the objects in a namespace for which ``index`` of the watch returned this value."""
        return list(self._indexed.get((resource, namespace, index), {}).values())

    def owned(self, owner: Record, resource: Resource) -> list[Record]:
        """Return the objects of a resource that ``owner`` controls."""
        owned = self._owned.get((owner.key.namespace, owner.as_owner), {})
        return [record for record in owned.values() if record.key.resource == resource]

    def read(self, resource: Resource, body: Body) -> Record | None:
        """Return the record of an object, or None, after the error is reported, if it cannot be read."""
        try:
            record = self.record(resource, body)
        except Exception as error:  # noqa: BLE001  # one object must not stop the watch of the others
            self.errors.add_unreadable(resource, body, error)
            return None
        self.errors.readable(record.key)
        return record

    def record(self, resource: Resource, body: Body) -> Record:
        """Return the record of an object; equal owners share one object in memory."""
        watched = self.watches[resource]
        metadata = body["metadata"]
        key, uid, owner = key_of(resource, body), metadata["uid"], controller_of(body)
        indexed = watched.index(body) if watched.index else None
        for text in (key.namespace, key.name, uid, indexed or ""):
            if not isinstance(text, str):
                raise TypeError(f"{type(text).__name__} instead of a string in the metadata or the index")
        return Record(
            key=key,
            uid=uid,
            version=int(metadata["resourceVersion"]),
            deleting="deletionTimestamp" in metadata,
            owner=None if owner is None else self._shared(owner),
            indexed=indexed,
            value=watched.trim(body),
        )

    def set(self, record: Record) -> None:
        """Store the state that a watch shows, unless the cache has a newer one from a response to a write."""
        known = self.get(record.key)
        if known is None or known.uid != record.uid or known.version < record.version:
            self._set(record)

    def set_from_response(self, record: Record) -> None:
        """Store the state that the API server returned for a write of ours, unless the watch has a newer one.

        An object that the cache does not hold is left out: it may have been deleted since.
        """
        known = self.get(record.key)
        if known is not None and known.uid == record.uid:
            self.set(record)

    def remove(self, record: Record) -> None:
        """Remove an object that was deleted."""
        self._remove(record.key)
        self._notify(Change(record, deleted=True))

    def remove_body(self, resource: Resource, body: Body) -> None:
        """Remove an object that was deleted, also if its last state cannot be read."""
        key, _ = identify(resource, body)
        record = self.read(resource, body) or self.get(key)
        self.errors.readable(key)
        if record is not None:
            self.remove(record)

    def replace(
        self,
        resource: Resource,
        namespace: str | None,
        records: Iterable[Record],
        unreadable: Collection[tuple[Key, str]] = (),
    ) -> None:
        """Replace all objects of a resource in a namespace (None: in all namespaces) with those of a list.

        ``unreadable`` has key and uid of those objects in the list of which the last readable state stays.
        """
        listed = {record.key: record for record in records}
        self.errors.keep(resource, namespace, {key for key, _ in unreadable})
        for known in self.all(resource):
            key = known.key
            if (
                namespace in (None, key.namespace)
                and key not in listed
                and (key, known.uid) not in unreadable
            ):
                self.remove(known)
        for record in listed.values():
            previous = self.get(record.key)
            if previous is not None and previous.uid != record.uid:
                self.remove(previous)
            if previous is None or previous.version != record.version:
                self._set(record)

    def _set(self, record: Record) -> None:
        self._remove(record.key)
        key, owner, index = record.key, record.owner, record.indexed
        self._records.setdefault(key.resource, {})[key.namespace, key.name] = record
        if owner is not None:
            self._owned.setdefault((key.namespace, owner), {})[key] = record
        if index is not None:
            self._indexed.setdefault((key.resource, key.namespace, index), {})[key] = record
        self._notify(Change(record))

    def _notify(self, change: Change) -> None:
        try:
            self.listener(change)
        except Exception as error:  # noqa: BLE001  # one object must not stop the watch of the others
            record = change.record
            self.errors.add(record.key, record.uid, "the change of the object could not be processed", error)

    def _shared(self, owner: Owner) -> Owner:
        """Return an equal owner that is in memory already, if there is one."""
        if len(self._owners) > 2 * len(self._owned) + 1000:
            # Owners of records that were never stored.
            self._owners = {known: known for _, known in self._owned}
        return self._owners.setdefault(owner, owner)

    def _remove(self, key: Key) -> None:
        old = self._records.get(key.resource, {}).pop((key.namespace, key.name), None)
        if old is None:
            return
        if old.owner is not None and _drop(self._owned, (key.namespace, old.owner), key):
            self._owners.pop(old.owner, None)
        if old.indexed is not None:
            _drop(self._indexed, (key.resource, key.namespace, old.indexed), key)


def _drop(table: dict[T, dict[Key, Record]], group: T, key: Key) -> bool:
    """Remove a key from its group, and the group if it is empty now; return whether it is."""
    entries = table[group]
    del entries[key]
    if not entries:
        del table[group]
    return not entries
