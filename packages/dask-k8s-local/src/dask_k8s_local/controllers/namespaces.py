"""The namespace controller, the initial namespaces, and admission rules for namespaces. Contains no HTTP."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress

from dask_k8s_local.controllers.client import Delete, Forbidden, ServedResources, deletable_resources
from dask_k8s_local.informer import Change, run_informer, wait_for_any_change
from dask_k8s_local.resources import NAMESPACES, PODS, Resource
from dask_k8s_local.store import NotFound, Object, Store, StoreError, timestamp

INITIAL = ("default", "kube-node-lease", "kube-public", "kube-system")
_PROTECTED = frozenset({"default", "kube-public", "kube-system"})
_FINALIZER = "kubernetes"

_DONE = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)
"""Each condition with its reason and message while nothing blocks the deletion."""
_Left = dict[Resource, list[Object]]


def initial(name: str) -> Object:
    """Return a new namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": [_FINALIZER]},
        "status": {"phase": "Active"},
    }


def create_initial(store: Store) -> None:
    """Create the namespaces that every cluster has."""
    for name in INITIAL:
        store.create(NAMESPACES, initial(name))


def reject_protected(name: str) -> None:
    """Raise Forbidden for a namespace that must not be deleted."""
    if name in _PROTECTED:
        raise Forbidden(NAMESPACES, name, "this namespace may not be deleted")


def reject_terminating_namespace(store: Store, resource: Resource, namespace: str, name: str) -> None:
    """Reject a new object: NotFound without its namespace, Forbidden if that is terminating."""
    home = store.get(NAMESPACES, None, namespace)
    if home is None:
        raise NotFound(NAMESPACES, namespace)
    if home["metadata"].get("deletionTimestamp"):
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise Forbidden(resource, name, why, [cause])


class NamespaceController:
    """Deletes the contents of terminating namespaces, then the namespaces."""

    def __init__(self, store: Store, resources: ServedResources, delete: Delete) -> None:
        self._store = store
        self._resources = resources
        self._delete = delete
        self._terminating: set[str] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def on_change(change: Change) -> None:
                if change.new is None or not change.new["metadata"].get("deletionTimestamp"):
                    return
                uid = change.new["metadata"]["uid"]
                if _has_finalizer(change.new) and uid not in self._terminating:
                    self._terminating.add(uid)
                    tasks.create_task(self._terminate(change.new["metadata"]["name"], uid))

            await run_informer(self._store, NAMESPACES, on_change)

    async def _terminate(self, name: str, uid: str) -> None:
        try:
            while namespace := self._current(name, uid):
                kinds = [one for one in deletable_resources(self._resources).values() if one.namespaced]
                pods = self._empty([PODS], name)  # before the objects that they may still use
                left = {} if pods else self._empty(kinds, name)
                emptied = self._store.version
                namespace = self._write_conditions(namespace, left)
                if not (pods or left):
                    self._finalize(namespace)
                    return
                await wait_for_any_change(self._store, pods or left, emptied)
        finally:
            self._terminating.discard(uid)

    def _current(self, name: str, uid: str) -> Object | None:
        namespace = self._store.get(NAMESPACES, None, name)
        known = namespace and namespace["metadata"]["uid"] == uid and _has_finalizer(namespace)
        return namespace if known else None

    def _empty(self, kinds: Collection[Resource], namespace: str) -> _Left:
        """Delete all objects of these kinds and return what is left."""
        for resource in kinds:
            for obj in self._store.list(resource, namespace):
                metadata = obj["metadata"]
                if not metadata.get("deletionTimestamp"):
                    name, uid = metadata["name"], metadata["uid"]
                    with suppress(StoreError):
                        self._delete(resource, namespace, name, uid, propagation="Background")
        return {kind: [*objects] for kind in kinds if (objects := self._store.list(kind, namespace))}

    def _write_conditions(self, namespace: Object, left: _Left) -> Object:
        status = namespace.get("status", {})
        conditions = _conditions(status.get("conditions") or (), left)
        return self._store.update(NAMESPACES, {**namespace, "status": {**status, "conditions": conditions}})

    def _finalize(self, namespace: Object) -> None:
        spec = namespace["spec"]
        finalizers = [one for one in spec["finalizers"] if one != _FINALIZER]
        self._store.update(NAMESPACES, {**namespace, "spec": {**spec, "finalizers": finalizers}})


def _has_finalizer(namespace: Object) -> bool:
    return _FINALIZER in (namespace["spec"].get("finalizers") or ())


def _conditions(old: Iterable[Object], left: _Left) -> list[Object]:
    """Return the conditions of a namespace with these remaining objects."""
    found = {one["type"]: one for one in old}
    remains = _remains(left)
    for kind, *done in _DONE:
        status = str(kind in remains)
        before = found.get(kind)
        flipped = before is None or before["status"] != status
        since = timestamp() if before is None or flipped else before["lastTransitionTime"]
        reason, message = remains.get(kind, done)
        found[kind] = {
            "type": kind,
            "status": status,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
    return [*found.values()]


def _remains(left: _Left) -> dict[str, tuple[str, str]]:
    finalizers = Counter(
        finalizer
        for objects in left.values()
        for obj in objects
        for finalizer in obj["metadata"].get("finalizers") or ()
    )
    found = {}
    if left:
        kinds = ", ".join(sorted(_instances(f"{one.plural}.{one.group} has", len(left[one])) for one in left))
        found["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {kinds}")
    if finalizers:
        names = ", ".join(sorted(_instances(f"{one} in", count) for one, count in finalizers.items()))
        message = f"Some content in the namespace has finalizers remaining: {names}"
        found["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return found


def _instances(what: str, count: int) -> str:
    return f"{what} {count} resource instances"
