"""Who belongs to whom: an index of owner references, kept by changes. Decides nothing, writes nothing."""

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


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Where an object is."""

    resource: Resource
    namespace: str
    name: str


class OwnerGraph:
    """Every object by its uid, and the dependents of each.

    What it knows may be a moment old; the objects themselves are read from the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, ObjectKey] = {}
        self._dependents: dict[str, dict[str, None]] = {}
        self._gone: dict[str, None] = {}

    def update(self, change: Change) -> Iterator[str]:
        """Take in a change; yield the uids of those for whom it may mean something."""
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
        """Return where the object is or was."""
        return self._keys.get(uid)

    def get(self, uid: str) -> tuple[ObjectKey, Object] | None:
        """Return the object as it is now."""
        key = self._keys.get(uid)
        obj = key and self._store.get(key.resource, key.namespace, key.name)
        return (key, obj) if key and obj and obj["metadata"]["uid"] == uid else None

    def dependents(self, uid: str) -> list[str]:
        """Return the uids of those that name the object as an owner."""
        return [*self._dependents.get(uid, ())]

    def is_gone(self, uid: str) -> bool:
        """Return whether an object of that uid was there lately: its kind may have gone together with it."""
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
    """Return which finalizer of the garbage collector an object that is being deleted waits for, if any."""
    if obj is None or not obj["metadata"].get("deletionTimestamp"):
        return ""
    finalizers = obj["metadata"].get("finalizers") or ()
    return ORPHAN if ORPHAN in finalizers else FOREGROUND if FOREGROUND in finalizers else ""


def propagation(obj: Object) -> Propagation:
    """Tell what the finalizers of an object want to happen to its dependents."""
    finalizers = obj["metadata"].get("finalizers") or ()
    return "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"


def blocks(obj: Object, uid: str) -> bool:
    """Return whether a dependent must go before that owner does."""
    return any(one["uid"] == uid and one.get("blockOwnerDeletion") for one in owners(obj))
