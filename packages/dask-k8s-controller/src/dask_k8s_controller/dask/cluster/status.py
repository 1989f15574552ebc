"""The status of a cluster: phase, numbers and conditions. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime

from dask_k8s_controller.dask import findings
from dask_k8s_controller.dask.cluster import agent
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.findings import (
    HEALTHY,
    Finding,
    refused,
    unidentified_container,
)
from dask_k8s_controller.dask.pods.view import troubled
from dask_k8s_controller.dask.scheduler.addresses import dashboard_address, scheduler_address
from dask_k8s_controller.runtime.results import Outcome
from dask_k8s_crds import Condition, DaskCluster, DaskClusterStatus, DaskWorkerGroupStatus, labels, names
from dask_k8s_crds.cluster import ClusterPhase

_PASSED_ON = Finding("Updating", "an edit has just been passed on to the workers' group")
_SCHEDULER_READY = Finding("SchedulerReady", "the scheduler is ready")
_WARNINGS = {"ContainerUnidentified"}
"""Reasons of a degraded group that do not keep it from running."""
_ROLLOUT = {
    "Retiring",
    "RollingUpdate",
    "SurgeRefused",
    "WaitingForSuccessors",
    "WorkersNotRegistered",
    "WorkersStuck",
}


def report(
    cluster: DaskCluster,
    observed: Observed,
    found: Sequence[Condition],
    idle_since: datetime | None,
    *,
    domain: str,
) -> DaskClusterStatus:
    """Return the status with these conditions."""
    default_group = observed.default_group(cluster)
    workers = default_group.status if default_group else DaskWorkerGroupStatus()
    name = cluster.metadata.name
    return DaskClusterStatus(
        phase=_phase(cluster, observed, found),
        scheduler_address=scheduler_address(cluster, domain),
        dashboard_address=dashboard_address(cluster, domain),
        workers=f"{_ready_replicas(observed)}/{_replicas(cluster, observed)}",
        replicas=workers.replicas or 0,
        ready_replicas=workers.ready_replicas or 0,
        updated_replicas=workers.updated_replicas or 0,
        idle_since=idle_since,
        selector=labels.selector(labels.worker(name, names.default_group(name))),
        observed_generation=cluster.metadata.generation,
        conditions=tuple(found),
    )


def _phase(cluster: DaskCluster, observed: Observed, found: Sequence[Condition]) -> ClusterPhase:
    held = {entry.type: entry for entry in found if entry.status == "True"}
    if "Degraded" in held and held["Degraded"].reason == "InvalidSpec":
        return "Error"
    if cluster.spec.suspend and not observed.pods:
        return "Suspended"
    if "SchedulerReady" in held:
        return "Running"
    return "Pending" if observed.schedulers else "Created"


def conditions(
    cluster: DaskCluster,
    observed: Observed,
    outcome: Outcome,
    *,
    passed_on: bool = False,
    idleness_unknown: Finding | None = None,
) -> tuple[Condition, ...]:
    """Return the conditions.

    Args:
        cluster: The cluster.
        observed: What the cache shows of it.
        outcome: The outcome of its writes.
        passed_on: Whether ``observed`` does not show an edit of a worker group yet.
        idleness_unknown: Why a scheduler does not say whether it is idle. It is reported if the scheduler is
            ready; if not, other conditions say why.
    """
    degraded = _degraded(cluster, observed, outcome)
    if cluster.spec.suspend:
        return (*_suspended(cluster, observed, degraded), *_idle_action(cluster, observed))
    scheduler = scheduler_not_ready(observed)
    replicas, ready = _replicas(cluster, observed), _ready_replicas(observed)
    counts = f"{ready} of {replicas} workers are ready"
    workers = None if ready >= replicas else Finding("WorkersNotReady", counts)
    missing = scheduler or workers
    progress = missing or (_PASSED_ON if passed_on else _updating(observed))
    complete = Finding("Complete", f"the scheduler is ready, {counts}")
    problem = degraded or (idleness_unknown if scheduler is None else None) or _warning(cluster, observed)
    found = findings.conditions(
        cluster.metadata.generation,
        SchedulerReady=(scheduler is None, scheduler or _SCHEDULER_READY),
        WorkersReady=(workers is None, workers or Finding("WorkersReady", counts)),
        Ready=(missing is None, missing or complete),
        Progressing=(progress is not None and degraded is None, degraded or progress or complete),
        Degraded=(problem is not None, problem or HEALTHY),
    )
    return (*found, *_idle_action(cluster, observed))


def _idle_action(cluster: DaskCluster, observed: Observed) -> tuple[Condition, ...]:
    """Return whether the idle action waits for the job that created the cluster, if a job did."""
    job, spec = observed.job, cluster.spec
    if job is None or not spec.idle_timeout:
        return ()
    action = f"idleAction {spec.idle_action} is"
    why = Finding("JobActive", f"DaskJob {job.name} has not finished: {action} not taken before")
    if job.ended is not None:
        why = Finding("JobFinished", f"DaskJob {job.name} has finished: {action} taken after idleTimeout")
    return findings.conditions(cluster.metadata.generation, IdleActionWaits=(job.ended is None, why))


def _suspended(cluster: DaskCluster, observed: Observed, degraded: Finding | None) -> tuple[Condition, ...]:
    """Return the conditions of a cluster that is suspended, or still has pods."""
    suspended = Finding("Suspended", "spec.suspend is true: nothing runs until it is false")
    scheduler = scheduler_not_ready(observed) if observed.scheduler else suspended
    progress = Finding("Suspending", f"{observed.pods} pods are still there") if observed.pods else suspended
    return findings.conditions(
        cluster.metadata.generation,
        SchedulerReady=(scheduler is None, scheduler or _SCHEDULER_READY),
        WorkersReady=(False, suspended),
        Ready=(False, suspended),
        Progressing=(observed.pods > 0 and degraded is None, degraded or progress),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )


def _degraded(cluster: DaskCluster, observed: Observed, outcome: Outcome) -> Finding | None:
    """Return what is wrong: a refused write, or else the scheduler, or else a worker group."""
    return (
        refused(outcome)
        or troubled(pod.value for pod in observed.schedulers if not pod.deleting)
        or agent.token_problem(cluster, observed)
        or _from_groups(observed, "Degraded", lambda reason: reason not in _WARNINGS)
    )


def _warning(cluster: DaskCluster, observed: Observed) -> Finding | None:
    """Return what may be wrong and does not keep the cluster from running."""
    return unidentified_container(cluster.spec.scheduler.spec, labels.SCHEDULER) or _from_groups(
        observed, "Degraded"
    )


def _updating(observed: Observed) -> Finding | None:
    """Return the rollout of a worker group, or that one has not been reconciled since its last edit."""
    for group in sorted(observed.groups, key=lambda group: group.key.name):
        if group.status.observed_generation != group.generation:
            return Finding("Updating", f"DaskWorkerGroup {group.key.name}: its edit is being looked at")
    return _from_groups(observed, "Progressing", lambda reason: reason in _ROLLOUT)


def _from_groups(
    observed: Observed, kind: str, matters: Callable[[str], bool] = lambda _: True
) -> Finding | None:
    """Return this condition of the first worker group for which it is true, for a reason that matters."""
    for group in sorted(observed.groups, key=lambda group: group.key.name):
        for entry in group.status.conditions:
            if entry.type == kind and entry.status == "True" and matters(entry.reason):
                return Finding(entry.reason, f"DaskWorkerGroup {group.key.name}: {entry.message}")
    return None


def scheduler_not_ready(observed: Observed) -> Finding | None:
    """Return why the scheduler cannot be reached; None if it can."""
    pod, service = observed.scheduler, observed.service
    if pod is None:
        terminating = next((pod.key.name for pod in observed.schedulers if pod.deleting), None)
        waiting = f"waiting for pod {terminating} to terminate"
        return Finding("SchedulerMissing", waiting if terminating else "there is no scheduler pod yet")
    if not pod.value.ready:
        reason, message = pod.value.trouble or ("SchedulerNotReady", "not ready yet")
        return Finding(reason, f"scheduler pod {pod.key.name}: {message}")
    if service is None:
        return Finding("ServiceMissing", "there is no scheduler service yet")
    if not service.value.reachable:
        return Finding("LoadBalancerPending", f"service {service.key.name} has no load balancer address yet")
    return None


def _replicas(cluster: DaskCluster, observed: Observed) -> int:
    """Return how many workers there should be, with those of a default group that does not exist yet."""
    replicas = sum(group.replicas for group in observed.groups)
    return replicas if observed.default_group(cluster) else replicas + cluster.spec.worker.replicas


def _ready_replicas(observed: Observed) -> int:
    return sum(group.status.ready_replicas or 0 for group in observed.groups)
