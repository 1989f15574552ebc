"""Which children of a cluster to create, edit and delete. Pure; the time is passed in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.cluster import service_edits
from dask_k8s_controller.dask.cluster.desired import Children, children, scheduler_digest
from dask_k8s_controller.dask.cluster.observe import Observed, WorkerGroup
from dask_k8s_controller.dask.pods.template import legacy_command_events
from dask_k8s_controller.dask.pods.view import seconds_since
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Create, Delete, Event, Patch, Plan
from dask_k8s_crds import DaskCluster, labels, names
from dask_k8s_crds.metadata import owner_reference
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

STUCK_SECONDS = 10.0
"""A pod that exists for so long after its grace period is stuck, for example on a lost node."""
RESTART_SECONDS = 10.0
"""The least age at which a finished scheduler is replaced, so that there is no tight loop."""


@dataclass(frozen=True, slots=True)
class SchedulerPlan:
    """What to do about the scheduler's pods."""

    name: str | None = None
    """Name of the scheduler to create, None if none is missing."""
    delete: tuple[Record, ...] = ()
    outdated: Record | None = None
    """A scheduler to delete because its template has changed."""
    look_again: float | None = None


def plan_scheduler(cluster: DaskCluster, observed: Observed, now: datetime) -> SchedulerPlan:
    """Keep one scheduler, never two; a terminating pod delays its successor unless it is stuck."""
    present = [pod for pod in observed.schedulers if not pod.deleting]
    if cluster.spec.suspend:
        # After the workers, which would try to reconnect to it until they are killed.
        return SchedulerPlan(delete=() if observed.workers else tuple(present))
    current = observed.scheduler
    finished = [pod for pod in present if pod.value.finished]
    if current is not None or any(key.resource == PODS for key in observed.expected):
        surplus = [pod for pod in present if not pod.value.finished and pod is not current]
        outdated = None
        if current is not None and cluster.spec.update_strategy.type != "OnDelete":
            outdated = current if current.value.outdated(scheduler_digest(cluster)) else None
        return SchedulerPlan(delete=(*surplus, *finished), outdated=outdated)
    if finished:
        waits = [RESTART_SECONDS - pod.value.age(now) for pod in finished]
        old = tuple(pod for pod, wait in zip(finished, waits, strict=True) if wait <= 0)
        return SchedulerPlan(delete=old, look_again=max(0.0, *waits) or None)
    terminating = {pod.key.name: pod for pod in observed.schedulers}
    wait = max((_seconds_until_stuck(pod, now) for pod in terminating.values()), default=0.0)
    if wait > 0:
        return SchedulerPlan(look_again=wait)
    name = names.scheduler(cluster.metadata.name)
    while name in terminating:
        name = names.scheduler_successor(cluster.metadata.name, terminating[name].uid)
    return SchedulerPlan(name=name)


def _seconds_until_stuck(pod: Record, now: datetime) -> float:
    if pod.value.deletion is None:
        # We have deleted it, and the cache does not show the end of its grace period yet.
        return STUCK_SECONDS
    return STUCK_SECONDS - seconds_since(pod.value.deletion, now)


def plan(cluster: DaskCluster, record: Record, observed: Observed, scheduler: SchedulerPlan) -> Plan:
    """Create missing children, edit those whose part of the spec has changed, adopt worker groups."""
    desired = children(cluster, token=observed.token, scheduler_name=scheduler.name)
    needed = [
        *([(None, Create(PODS, desired.scheduler))] if scheduler.name is not None else []),
        (observed.service, Create(SERVICES, desired.service)),
        (observed.default_group(cluster), Create(DASK_WORKER_GROUPS, desired.default_group)),
    ]
    create = [action for present, action in needed if present is None and action.key not in observed.expected]
    edits = [
        _edit_scheduler(observed, scheduler, desired),
        service_edits.edit(observed.service, desired.service) if observed.service else None,
        *(_edit_group(cluster, group, desired.default_group) for group in observed.groups),
    ]
    deleted = [*scheduler.delete, *([scheduler.outdated] if scheduler.outdated else [])]
    return Plan(
        create=tuple(create),
        patch=tuple(edit for edit in edits if isinstance(edit, Patch)),
        delete=(
            *(Delete(pod.key, pod.uid) for pod in deleted),
            *(edit for edit in edits if isinstance(edit, Delete)),
        ),
        events=_events(cluster, record, scheduler),
    )


def _edit_scheduler(observed: Observed, scheduler: SchedulerPlan, desired: Children) -> Patch | None:
    """Update labels and annotations of the scheduler's pod, unless it is about to be replaced."""
    pod = observed.scheduler
    if pod is None or scheduler.outdated is not None:
        return None
    patch = last_applied.pod_patch(pod.value.last_applied, pod.value.digest, desired.scheduler)
    return Patch(pod.key, {"metadata": {"uid": pod.uid, **patch}}) if patch else None


def _edit_group(cluster: DaskCluster, group: WorkerGroup, default_group: Body) -> Patch | None:
    """Adopt a worker group that a user created; pass changes of the cluster on to the default group."""
    is_default = group.key.name == default_group["metadata"]["name"]
    change = _cluster_changes(group, default_group) if is_default else {}
    metadata = change.get("metadata", {})
    if not group.has_controller:
        reference = owner_reference(DASK_CLUSTERS, cluster.metadata)
        metadata = {**metadata, "ownerReferences": [*group.owner_references, reference]}
    if not metadata:
        return None
    # With the resource version, the API server refuses this if somebody changed the group meanwhile.
    body = {**change, "metadata": {"resourceVersion": str(group.version), **metadata}}
    return Patch(group.key, body, needs_owner=not group.has_controller)


def _cluster_changes(group: WorkerGroup, desired: Body) -> dict[str, Any]:
    """Return the patch that passes replicas and template of the cluster on, each if it has changed.

    The group records what was passed on last. Thus a group that a user scaled or edited stays as it is
    until the cluster is scaled or edited.
    """
    before = group.last_applied
    metadata = last_applied.metadata_patch(before, desired)
    worker: dict[str, Any] = {}
    replicas = desired["metadata"]["annotations"][labels.CLUSTER_REPLICAS]
    if group.annotations.get(labels.CLUSTER_REPLICAS) != replicas:
        metadata.setdefault("annotations", {})[labels.CLUSTER_REPLICAS] = replicas
        worker["replicas"] = desired["spec"]["worker"]["replicas"]
    if last_applied.differs(before, desired, "worker"):
        worker |= last_applied.removed_keys(before, desired, "worker")
        for field, value in desired["spec"]["worker"].items():
            if field != "replicas":
                worker[field] = last_applied.merge_patch(group.worker.get(field), value)
    spec = {"spec": {"worker": worker}} if worker else {}
    return {"metadata": metadata, **spec} if metadata else {}


def _events(cluster: DaskCluster, record: Record, scheduler: SchedulerPlan) -> tuple[Event, ...]:
    if scheduler.name is not None:
        template = cluster.spec.scheduler.spec
        return legacy_command_events(record.value, template, cluster.metadata.annotations)
    if scheduler.outdated is None:
        return ()
    message = (
        f"spec.scheduler has changed (generation {cluster.metadata.generation}): pod "
        f"{scheduler.outdated.key.name} is replaced, and the tasks and results that it knows of are lost"
    )
    return (Event(record.value, "SchedulerReplaced", message),)
