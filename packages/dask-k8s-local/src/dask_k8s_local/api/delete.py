"""DELETE: preconditions, propagation, grace. What is deleted at once, what is only marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dask_k8s_local.api import errors
from dask_k8s_local.controllers.doors import Propagation
from dask_k8s_local.controllers.namespaces import refuse_immortal
from dask_k8s_local.resources import CRDS, JOBS, NAMESPACES, PODS, Resource
from dask_k8s_local.schema import problems
from dask_k8s_local.store import Object, Store, Stored, timestamp
from dask_k8s_local.strategy.base import Strategy

_PROPAGATION = {"Foreground": "foregroundDeletion", "Orphan": "orphan", "Background": None}
_FINALIZERS = frozenset({"foregroundDeletion", "orphan"})
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""Holds a CustomResourceDefinition that is deleted until its objects are gone."""


@dataclass(frozen=True)
class DeleteOptions:
    """What a DELETE may say."""

    grace: int | None = None
    propagation: str | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


def read_options(query: Mapping[str, str], body: Mapping[str, Any]) -> DeleteOptions:
    """Read the options from the query, or, where there is one, from the body."""
    grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    propagation = body.get("propagationPolicy", query.get("propagationPolicy"))
    if propagation not in {None, "", *_PROPAGATION}:
        supported = ("Foreground", "Background", "Orphan", "nil")
        wrong = problems.not_supported("propagationPolicy", propagation, supported)
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", [wrong])
    preconditions = body.get("preconditions") or {}
    dry_run = body.get("dryRun") or query.get("dryRun")
    return DeleteOptions(
        grace=None if grace is None else max(int(grace), 1) if int(grace) else 0,
        propagation=propagation or None,
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        dry_run="All" in (dry_run or ()),
    )


class Deleter:
    """Deletes objects as requests want it; the controllers come this way, too."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(
        self, resource: Resource, namespace: str | None, name: str, uid: str, *, propagation: Propagation
    ) -> Stored:
        """Delete for a controller."""
        return self.delete(resource, namespace, name, DeleteOptions(uid=uid, propagation=propagation))[0]

    def delete(
        self, resource: Resource, namespace: str | None, name: str, options: DeleteOptions
    ) -> tuple[Stored, bool]:
        """Delete an object, or mark it; tells whether it is gone."""
        old = self._store.get(resource, namespace, name)
        if old is None:
            raise errors.not_found(resource, name)
        if resource is NAMESPACES:
            refuse_immortal(name)
        self._check(resource, old, options)
        marked = _marked(resource, old, options)
        if options.dry_run:
            return Stored(marked or old), marked is None
        if marked is None:
            return self._store.delete(resource, namespace, name), True
        return self._store.update(resource, marked), False

    @staticmethod
    def _check(resource: Resource, old: Object, options: DeleteOptions) -> None:
        metadata = old["metadata"]
        for word, wanted, found, hint in (
            ("UID", options.uid, metadata["uid"], "deleted and then recreated"),
            ("ResourceVersion", options.version, metadata["resourceVersion"], "modified"),
        ):
            if wanted is not None and wanted != found:
                differs = f"the {word} in the precondition ({wanted}) does not match the {word} in record"
                differs += f" ({found}). "
                message = f'Operation cannot be fulfilled on {resource.kind} "{metadata["name"]}": {differs}'
                about = errors.details(resource, metadata["name"]) | {"kind": resource.kind}
                raise errors.ApiError(409, "Conflict", f"{message}The object might have been {hint}", about)


def _marked(resource: Resource, old: Stored, options: DeleteOptions) -> Object | None:
    """Return the object as it waits to be deleted, or None where nothing is to be waited for."""
    metadata = {**old["metadata"]}
    # Since before there was a garbage collector, pods outlive a job that is deleted without further words.
    propagation = options.propagation or ("Orphan" if resource is JOBS else None)
    finalizers = _finalizers(metadata.get("finalizers") or [], propagation)
    if resource is CRDS and CLEANUP not in finalizers and not metadata.get("deletionTimestamp"):
        finalizers = [*finalizers, CLEANUP]
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if resource in _ANNOUNCED:
        metadata.setdefault("deletionTimestamp", timestamp())
        return {**old, "metadata": metadata, "status": _ANNOUNCED[resource](old.get("status") or {})}
    grace = _grace(resource, old, options)
    if not finalizers and not grace:
        return None
    _mark(metadata, grace)
    return {**old, "metadata": metadata}


def _namespace_ends(status: Object) -> Object:
    return {**status, "phase": "Terminating"}


def _definition_ends(status: Object) -> Object:
    words = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    condition = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": timestamp(),
        "reason": "InstanceDeletionPending",
        "message": words,
    }
    others = [item for item in status.get("conditions") or () if item["type"] != "Terminating"]
    return {**status, "conditions": [*others, condition]}


_ANNOUNCED = {NAMESPACES: _namespace_ends, CRDS: _definition_ends}
"""Kinds that are emptied by a controller first, and say so in their status."""


def _finalizers(present: list[str], propagation: str | None) -> list[str]:
    if propagation is None:
        return present
    wanted = _PROPAGATION[propagation]
    rest = [name for name in present if name not in _FINALIZERS]
    return [*rest, wanted] if wanted else rest


def _grace(resource: Resource, old: Stored, options: DeleteOptions) -> int:
    """Return how many seconds the kubelet has."""
    if resource is not PODS:
        return 0
    spec, phase = old["spec"], (old.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in {"Failed", "Succeeded"}:
        return 0
    grace: int = options.grace if options.grace is not None else spec.get("terminationGracePeriodSeconds", 30)
    return grace


def _mark(metadata: Object, grace: int) -> None:
    """Set, or bring nearer, the end."""
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
    """Return what the answer to a DELETE shows."""
    if gone and not strategy.returns_deleted:
        return errors.success(strategy.resource, obj["metadata"]["name"], obj["metadata"]["uid"])
    return obj
