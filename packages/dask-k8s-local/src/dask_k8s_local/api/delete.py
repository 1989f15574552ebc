"""DELETE: preconditions, propagation policy, grace period.

The controllers finish what is not deleted at once.
"""

from datetime import UTC, datetime, timedelta

from dask_k8s_local.api import errors
from dask_k8s_local.api.delete_options import PROPAGATION, DeleteOptions
from dask_k8s_local.conditions import is_finished
from dask_k8s_local.controllers.client import Propagation
from dask_k8s_local.controllers.namespaces import reject_protected
from dask_k8s_local.resources import CRDS, JOBS, NAMESPACES, PODS, Resource
from dask_k8s_local.store import Object, Store, Stored, timestamp
from dask_k8s_local.strategy.base import Strategy

_FINALIZERS = frozenset({"foregroundDeletion", "orphan"})
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer of a CustomResourceDefinition, removed when all its objects are deleted."""


class Deleter:
    """Deletes objects for requests and for controllers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(
        self, resource: Resource, namespace: str | None, name: str, uid: str, *, propagation: Propagation
    ) -> Stored:
        """Delete an object for a controller."""
        return self.delete(resource, namespace, name, DeleteOptions(uid=uid, propagation=propagation))[0]

    def delete(
        self, resource: Resource, namespace: str | None, name: str, options: DeleteOptions
    ) -> tuple[Stored, bool]:
        """Delete an object or set its deletionTimestamp; return it, and whether it was removed."""
        old = self._store.get(resource, namespace, name)
        if old is None:
            raise errors.not_found(resource, name)
        if resource is NAMESPACES:
            reject_protected(name)
        self._check(resource, old, options)
        marked = _marked_for_deletion(resource, old, options)
        if options.dry_run:
            return Stored(marked or old), marked is None
        if marked is None:
            gone = self._store.delete(resource, namespace, name)
            return _as_deleted(gone) if resource is PODS else gone, True
        return self._store.update(resource, marked), False

    @staticmethod
    def _check(resource: Resource, old: Object, options: DeleteOptions) -> None:
        metadata = old["metadata"]
        for field, expected, found, hint in (
            ("UID", options.uid, metadata["uid"], "deleted and then recreated"),
            ("ResourceVersion", options.version, metadata["resourceVersion"], "modified"),
        ):
            if expected is not None and expected != found:
                differs = f"the {field} in the precondition ({expected}) does not match the {field} in record"
                differs += f" ({found}). "
                message = f'Operation cannot be fulfilled on {resource.kind} "{metadata["name"]}": {differs}'
                about = errors.details(resource, metadata["name"]) | {"kind": resource.kind}
                raise errors.StatusError(
                    409, "Conflict", f"{message}The object might have been {hint}", about
                )


def _marked_for_deletion(resource: Resource, old: Stored, options: DeleteOptions) -> Object | None:
    """Return the object with its deletionTimestamp, or None if it can be removed at once."""
    metadata = {**old["metadata"]}
    # Deleting a Job orphans its pods by default, for compatibility with old versions of Kubernetes.
    propagation = options.propagation or ("Orphan" if resource is JOBS else None)
    finalizers = _finalizers(metadata.get("finalizers") or [], propagation)
    if resource is CRDS and CLEANUP not in finalizers and not metadata.get("deletionTimestamp"):
        finalizers = [*finalizers, CLEANUP]
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if resource in _TERMINATING_STATUS:
        metadata.setdefault("deletionTimestamp", timestamp())
        return {**old, "metadata": metadata, "status": _TERMINATING_STATUS[resource](old.get("status") or {})}
    grace = _grace(resource, old, options)
    if not finalizers and not grace:
        return None
    _set_deletion_timestamp(metadata, grace)
    return {**old, "metadata": metadata}


def _as_deleted(pod: Stored) -> Stored:
    """Return a pod that was removed at once as DELETE returns it: with its deletionTimestamp."""
    metadata = {**pod["metadata"]}
    _set_deletion_timestamp(metadata, 0)
    return Stored({**pod, "metadata": metadata})


def _terminating_namespace(status: Object) -> Object:
    return {**status, "phase": "Terminating"}


def _terminating_crd(status: Object) -> Object:
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": timestamp(),
        "reason": "InstanceDeletionPending",
        "message": message,
    }
    others = [item for item in status.get("conditions") or () if item["type"] != "Terminating"]
    return {**status, "conditions": [*others, condition]}


_TERMINATING_STATUS = {NAMESPACES: _terminating_namespace, CRDS: _terminating_crd}
"""Kinds whose contents a controller deletes first; their status reports it."""


def _finalizers(present: list[str], propagation: str | None) -> list[str]:
    if propagation is None:
        return present
    expected = PROPAGATION[propagation]
    rest = [name for name in present if name not in _FINALIZERS]
    return [*rest, expected] if expected else rest


def _grace(resource: Resource, old: Stored, options: DeleteOptions) -> int:
    """Return the grace period of a pod in seconds."""
    if resource is not PODS:
        return 0
    spec = old["spec"]
    if not spec.get("nodeName") or is_finished(old):
        return 0
    grace: int = options.grace if options.grace is not None else spec.get("terminationGracePeriodSeconds", 30)
    return grace


def _set_deletion_timestamp(metadata: Object, grace: int) -> None:
    """Set the deletionTimestamp, or shorten the grace period."""
    present = metadata.get("deletionGracePeriodSeconds")
    if metadata.get("deletionTimestamp"):
        if not present or grace >= present:
            return
        begun = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=present)
        end = max(begun + timedelta(seconds=grace), datetime.now(UTC))
    else:
        end = datetime.now(UTC) + timedelta(seconds=grace)
        if metadata.get("generation"):
            metadata["generation"] += 1
    metadata["deletionTimestamp"] = timestamp(end)
    metadata["deletionGracePeriodSeconds"] = grace


def returned(strategy: Strategy, obj: Stored, *, gone: bool) -> Object | Stored:
    """Return the body of the response to a DELETE."""
    if gone and not strategy.returns_deleted:
        return errors.success(strategy.resource, obj["metadata"]["name"], obj["metadata"]["uid"])
    return obj
