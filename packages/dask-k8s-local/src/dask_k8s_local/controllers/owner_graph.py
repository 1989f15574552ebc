"""The graph of owner references, updated from changes. Decides and writes nothing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_local.controllers.client import Propagation
from dask_k8s_local.informer import Change
from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Object, Store, namespace_of

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"

Reference = Mapping[str, Any]

_REMEMBERED = 500
"""How many deleted uids are remembered."""


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Identifies an object in the store."""

    resource: Resource
    namespace: str
    name: str


class OwnerGraph:
    """All objects by uid, with their dependents.

    The graph can lag behind the store; objects are always read from the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, ObjectKey] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self._gone: dict[str, None] = {}

    def update(self, change: Change) -> Iterator[str]:
        """Apply a change; yield the uids of objects that must be processed."""
        old, new = change.old, change.new
        uid = (new or old or {})["metadata"]["uid"]
        before, after = owners(old), owners(new)
        if before != after:
            self._link(uid, before, after)
            yield from (reference["uid"] for reference in before)
        if new is None:
            del self._keys[uid]
            yield from self._forget(uid)
            return
        self._keys.setdefault(uid, ObjectKey(change.resource, namespace_of(new), new["metadata"]["name"]))
        if (after and before != after) or pending_finalizer(new) != pending_finalizer(old):
            yield uid
        if pending_finalizer(new) == FOREGROUND != pending_finalizer(old):
            yield from self.dependents(uid)

    def key(self, uid: str) -> ObjectKey | None:
        """Return the key of an object."""
        return self._keys.get(uid)

    def get(self, uid: str) -> tuple[ObjectKey, Object] | None:
        """Return the current object with its key."""
        key = self._keys.get(uid)
        obj = key and self._store.get(key.resource, key.namespace, key.name)
        return (key, obj) if key and obj and obj["metadata"]["uid"] == uid else None

    def dependents(self, uid: str) -> list[str]:
        """Return the uids of objects with this owner."""
        return [*self._dependents.get(uid, ())]

    def is_gone(self, uid: str) -> bool:
        """Return whether an object with this uid was deleted recently; its kind may be gone, too."""
        return uid in self._gone

    def _link(self, uid: str, before: Iterable[Reference], after: Iterable[Reference]) -> None:
        for owner in {reference["uid"] for reference in before}:
            others = self._dependents[owner]
            others.pop(uid)
            if not others:
                del self._dependents[owner]
        for reference in after:
            self._dependents.setdefault(reference["uid"], {})[uid] = None

    def _forget(self, uid: str) -> list[str]:
        self._gone[uid] = None
        if len(self._gone) > _REMEMBERED:
            del self._gone[next(iter(self._gone))]
        return self.dependents(uid)


def owners(obj: Object | None) -> list[Reference]:
    """Return the owner references of an object."""
    return (obj and obj["metadata"].get("ownerReferences")) or []


def pending_finalizer(obj: Object | None) -> str:
    """Return the garbage collector's finalizer on an object that is being deleted, or an empty string."""
    if obj is None or not obj["metadata"].get("deletionTimestamp"):
        return ""
    finalizers = obj["metadata"].get("finalizers") or ()
    return ORPHAN if ORPHAN in finalizers else FOREGROUND if FOREGROUND in finalizers else ""


def propagation(obj: Object) -> Propagation:
    """Return the propagation policy that follows from the finalizers of an object."""
    finalizers = obj["metadata"].get("finalizers") or ()
    return "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"


def blocks(obj: Object, uid: str) -> bool:
    """Return whether a dependent blocks the deletion of this owner."""
    return any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in owners(obj))
