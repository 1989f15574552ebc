"""Choose what to change about the children of a cluster. Pure; the time is passed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.cluster.desired import Children, children, scheduler_digest
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.cluster.service import follow
from dask_k8s_controller.dask.pods import keeps_legacy_commands, legacy_message, legacy_words
from dask_k8s_controller.dask.scheduler import agent_delivery
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Create, Delete, Event, Patch, Plan
from dask_k8s_crds import DaskCluster, labels, names, resources
from dask_k8s_crds.metadata import owner_reference
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES

STUCK_SECONDS = 10.0
"""A pod that is still there so long after its grace period is stuck, as on a lost node."""
RESTART_SECONDS = 10.0
"""A scheduler that ended is replaced when it is so old, so that it is not made in a tight loop."""


@dataclass(frozen=True, slots=True)
class SchedulerPlan:
    """``name`` of the scheduler to make, if one is missing, which pods to clear away, when to look again.

    ``outdated`` is the one that goes because its template has changed.
    """

    name: str | None = None
    delete: tuple[Record, ...] = ()
    outdated: Record | None = None
    look_again: float | None = None


def plan_scheduler(cluster: DaskCluster, observed: Observed, now: datetime) -> SchedulerPlan:
    """Have one scheduler, never two; a pod that is stuck while terminating does not hold up its successor."""
    if cluster.spec.suspend:
        return _suspended(observed)
    living = observed.scheduler
    surplus = tuple(
        pod
        for pod in observed.schedulers
        if not pod.deleting and not pod.value.finished and pod is not living
    )
    finished = [pod for pod in observed.schedulers if not pod.deleting and pod.value.finished]
    if living is not None or any(key.resource == PODS for key in observed.expected):
        outdated = living if living is not None and _is_outdated(cluster, living) else None
        return SchedulerPlan(delete=(*surplus, *finished), outdated=outdated)
    waits = [RESTART_SECONDS - _seconds(now, pod.value.created) for pod in finished]
    old = tuple(pod for pod, wait in zip(finished, waits, strict=True) if wait <= 0)
    if finished:
        return SchedulerPlan(delete=old, look_again=max(0.0, *waits) or None)
    usual = names.scheduler(cluster.metadata.name)
    going = {pod.key.name: pod for pod in observed.schedulers if pod.deleting}
    waits = [_until_stuck(pod, now) for pod in going.values()]
    if any(wait > 0 for wait in waits):
        return SchedulerPlan(look_again=max(waits))
    name = usual
    while name in going:
        name = names.scheduler_successor(cluster.metadata.name, going[name].uid)
    return SchedulerPlan(name=name)


def _suspended(observed: Observed) -> SchedulerPlan:
    """Let the scheduler go after the workers, which would look for it until they are killed."""
    if observed.replicas or observed.retiring:
        return SchedulerPlan()
    return SchedulerPlan(delete=tuple(pod for pod in observed.schedulers if not pod.deleting))


def _is_outdated(cluster: DaskCluster, scheduler: Record) -> bool:
    on_delete = cluster.spec.update_strategy.type == "OnDelete"
    outdated: bool = not on_delete and scheduler.value.outdated(scheduler_digest(cluster))
    return outdated


def _until_stuck(pod: Record, now: datetime) -> float:
    if pod.value.deletion is None:
        # We have asked for the deletion, and the watch has not shown its time yet.
        return STUCK_SECONDS
    return STUCK_SECONDS - _seconds(now, pod.value.deletion)


def _seconds(now: datetime, since: str) -> float:
    return (now - datetime.fromisoformat(since)) / timedelta(seconds=1)


def plan(
    cluster: DaskCluster, record: Record, observed: Observed, scheduler: SchedulerPlan, *, token: str
) -> Plan:
    """Make what is missing, the secret first, which the scheduler mounts; adopt groups; pass changes on.

    ``token`` is a fresh secret, for the agent of a scheduler that has none.
    """
    wanted = children(cluster, token=token, scheduler_name=scheduler.name)
    needed = [
        (observed.agent, Create(SECRETS, wanted.agent)),
        *([(None, Create(PODS, wanted.scheduler))] if scheduler.name is not None else []),
        (observed.service, Create(SERVICES, wanted.service)),
        (observed.default_group(cluster), Create(DASK_WORKER_GROUPS, wanted.default_group)),
    ]
    create = [action for there, action in needed if there is None and action.key not in observed.expected]
    going = [*scheduler.delete, *filter(None, [scheduler.outdated])]
    edits = [*_agent(observed, token), *_pod(observed, scheduler, wanted), *_service(observed, wanted)]
    return Plan(
        create=tuple(create),
        patch=(*(edit for edit in edits if isinstance(edit, Patch)), *_groups(cluster, observed, wanted)),
        delete=(
            *(Delete(pod.key, pod.uid) for pod in going),
            *(edit for edit in edits if isinstance(edit, Delete)),
        ),
        events=(*_legacy(cluster, record, scheduler), *_replaced(cluster, record, scheduler)),
    )


def _pod(observed: Observed, plan: SchedulerPlan, wanted: Children) -> list[Patch]:
    """Pass labels and annotations on to the scheduler that lives."""
    pod = observed.scheduler
    if pod is None or plan.outdated is not None:
        return []
    patch = last_applied.pod_patch(pod.value.last_applied, pod.value.digest, wanted.scheduler)
    return [Patch(pod.key, {"metadata": {"uid": pod.uid, **patch}})] if patch else []


def _service(observed: Observed, wanted: Children) -> list[Patch | Delete]:
    edit = None if observed.service is None else follow(observed.service, wanted.service)
    return [] if edit is None else [edit]


def _agent(observed: Observed, token: str) -> list[Patch]:
    """Bring the agent's file up to date for the next scheduler, and give it a token if that was lost."""
    secret = observed.agent
    if secret is None or (secret.value.token and secret.value.digest == agent_delivery.digest()):
        return []
    return [Patch(secret.key, {"data": agent_delivery.data(None if secret.value.token else token)})]


def _groups(cluster: DaskCluster, observed: Observed, wanted: Children) -> list[Patch]:
    """Adopt groups that users made for the cluster, and pass on what has changed for the default one."""
    patches = []
    for group in observed.groups:
        change = _reached(group, wanted.default_group)
        metadata = {**change.get("metadata", {}), **_adoption(cluster, group)}
        if metadata:
            # With the version, the server refuses this where somebody changed the group meanwhile.
            body = {**change, "metadata": {"resourceVersion": str(group.version), **metadata}}
            patches.append(Patch(group.key, body, needs_owner=group.owner is None))
    return patches


def _adoption(cluster: DaskCluster, group: Record) -> dict[str, Any]:
    """Make the cluster the owner of a group that has none, so that it goes with the cluster."""
    if group.owner is not None:
        return {}
    owners = group.value["metadata"].get("ownerReferences") or ()
    return {"ownerReferences": [*owners, owner_reference(resources.DASK_CLUSTERS, cluster.metadata)]}


def _reached(group: Record, wanted: Body) -> dict[str, Any]:
    """Let the cluster's replicas and template reach the default group, each if it has changed.

    What has reached it is remembered there. So a group that was scaled or edited by itself stays as it is
    until the cluster is scaled or edited.
    """
    if group.key.name != wanted["metadata"]["name"]:
        return {}
    before = last_applied.recorded(group.value)
    metadata = last_applied.metadata_patch(before, wanted)
    worker: dict[str, Any] = {}
    replicas = wanted["metadata"]["annotations"][labels.CLUSTER_REPLICAS]
    if (group.value["metadata"].get("annotations") or {}).get(labels.CLUSTER_REPLICAS) != replicas:
        metadata["annotations"] = {**metadata.get("annotations", {}), labels.CLUSTER_REPLICAS: replicas}
        worker["replicas"] = wanted["spec"]["worker"]["replicas"]
    if last_applied.differs(before, wanted, "worker"):
        old = (group.value.get("spec") or {}).get("worker") or {}
        made_from = {field: value for field, value in wanted["spec"]["worker"].items() if field != "replicas"}
        changes = {field: last_applied.replacing(old.get(field), value) for field, value in made_from.items()}
        worker |= {**last_applied.removed_keys(before, wanted, "worker"), **changes}
    spec = {"spec": {"worker": worker}} if worker else {}
    return {"metadata": metadata, **spec} if metadata else {}


def _replaced(cluster: DaskCluster, record: Record, plan: SchedulerPlan) -> tuple[Event, ...]:
    if plan.outdated is None:
        return ()
    message = (
        f"spec.scheduler has changed (generation {cluster.metadata.generation}): pod "
        f"{plan.outdated.key.name} is replaced, and the tasks and results that it knows of are lost"
    )
    return (Event(record.value, "SchedulerReplaced", message),)


def _legacy(cluster: DaskCluster, record: Record, plan: SchedulerPlan) -> tuple[Event, ...]:
    words = legacy_words(cluster.spec.scheduler.spec)
    if plan.name is None or not words or keeps_legacy_commands(cluster.metadata.annotations):
        return ()
    return (Event(record.value, "LegacyCommand", legacy_message(words)),)
