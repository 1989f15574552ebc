"""What the watches have shown: objects by name and by owner, trimmed. No I/O, no clock."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_controller.runtime.watched import Watched
from dask_k8s_crds.resources import Resource

T = TypeVar("T")


class Owner(NamedTuple):
    """The controlling owner of an object."""

    group: str
    kind: str
    name: str
    uid: str


class Record(NamedTuple):
    """One object in the cache; ``value`` is what the trim of its watch left of it."""

    key: Key
    uid: str
    version: int
    deleting: bool
    owner: Owner | None
    indexed: str | None
    value: Any


class What(Enum):
    """What happened to an object, as far as the cache can tell."""

    SET = "set"
    GONE = "gone"


class Change(NamedTuple):
    """One change of the cache; ``record`` is the newest state that is known, also of what is gone."""

    what: What
    record: Record


@dataclass(slots=True)
class Cache:
    """All observed objects of the resources in ``watches``.

    Every change is told to ``listener`` after the cache shows it.
    """

    watches: Mapping[Resource, Watched]
    listener: Callable[[Change], None]
    _records: dict[Resource, dict[tuple[str, str], Record]] = field(default_factory=dict)
    _owned: dict[str, dict[Key, Record]] = field(default_factory=dict)
    _owners: dict[Owner, Owner] = field(default_factory=dict)
    _indexed: dict[tuple[Resource, str, str], dict[Key, Record]] = field(default_factory=dict)

    def get(self, key: Key) -> Record | None:
        """Return the object of this name, None where there is none."""
        return self._records.get(key.resource, {}).get((key.namespace, key.name))

    def all(self, resource: Resource) -> list[Record]:
        """Return all objects of a resource."""
        return list(self._records.get(resource, {}).values())

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        """Return the objects in a namespace for which the watch's ``index`` gave this value."""
        return list(self._indexed.get((resource, namespace, index), {}).values())

    def owned(self, uid: str, resource: Resource) -> list[Record]:
        """Return the objects of a resource that the owner with this uid controls."""
        return [record for record in self._owned.get(uid, {}).values() if record.key.resource == resource]

    def record(self, resource: Resource, body: Body) -> Record:
        """Make a record of a body; equal owners become one object in memory."""
        watched = self.watches[resource]
        metadata = body["metadata"]
        owner = None
        for reference in metadata.get("ownerReferences", ()):
            if reference.get("controller"):
                group, _, _ = reference["apiVersion"].rpartition("/")
                owner = Owner(group, reference["kind"], reference["name"], reference["uid"])
                owner = self._owners.setdefault(owner, owner)
        return Record(
            key=Key(resource, metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            deleting="deletionTimestamp" in metadata,
            owner=owner,
            indexed=watched.index(body) if watched.index else None,
            value=watched.trim(body),
        )

    def set(self, record: Record) -> None:
        """Take a state of an object that a watch shows, unless the answer to a write of ours was newer."""
        known = self.get(record.key)
        if known is None or known.uid != record.uid or known.version < record.version:
            self._set(record)

    def absorb(self, record: Record) -> None:
        """Take the answer to a write of ours, if the watch has not shown something newer.

        What the cache does not hold stays out: it may have been deleted since.
        """
        known = self.get(record.key)
        if known is not None and known.uid == record.uid:
            self.set(record)

    def remove(self, record: Record) -> None:
        """Forget an object that is gone."""
        self._forget(record.key)
        self.listener(Change(What.GONE, record))

    def replace(self, resource: Resource, namespace: str | None, records: Iterable[Record]) -> None:
        """Make a list the whole truth about a resource in a namespace (None: in all)."""
        fresh = {record.key: record for record in records}
        for known in self.all(resource):
            if namespace in (None, known.key.namespace) and known.key not in fresh:
                self.remove(known)
        for record in fresh.values():
            known_record = self.get(record.key)
            if known_record is not None and known_record.uid != record.uid:
                self.remove(known_record)
            if known_record is None or known_record.version != record.version:
                self._set(record)

    def _set(self, record: Record) -> None:
        self._store(record)
        self.listener(Change(What.SET, record))

    def _store(self, record: Record) -> None:
        self._forget(record.key)
        self._records.setdefault(record.key.resource, {})[record.key.namespace, record.key.name] = record
        if record.owner is not None:
            self._owned.setdefault(record.owner.uid, {})[record.key] = record
        if record.indexed is not None:
            self._indexed.setdefault((record.key.resource, record.key.namespace, record.indexed), {})[
                record.key
            ] = record

    def _forget(self, key: Key) -> None:
        old = self._records.get(key.resource, {}).pop((key.namespace, key.name), None)
        if old is None:
            return
        if old.owner is not None and _drop(self._owned, old.owner.uid, key):
            self._owners.pop(old.owner, None)
        if old.indexed is not None:
            _drop(self._indexed, (key.resource, key.namespace, old.indexed), key)


def _drop(table: dict[T, dict[Key, Record]], place: T, key: Key) -> bool:
    """Take a key out of its place, and the place out of the table when it is empty."""
    entries = table[place]
    del entries[key]
    if not entries:
        del table[place]
    return not entries
