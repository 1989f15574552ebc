"""Report: what a cluster is like. No await, no clock, no environment."""

from collections.abc import Callable, Sequence
from datetime import datetime

from dask_k8s_controller.dask import findings
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.findings import HEALTHY, Finding, conditions_of, refused, troubled
from dask_k8s_controller.dask.scheduler.addresses import dashboard_address, scheduler_address
from dask_k8s_controller.runtime.results import Outcome
from dask_k8s_crds import Condition, DaskCluster, DaskClusterStatus, labels, names

_PASSED_ON = Finding("Updating", "an edit has just been passed on to the workers' group")
_ROLLOUT = {"Retiring", "RollingUpdate", "WorkersNotRegistered", "WorkersStuck"}


def report(
    cluster: DaskCluster,
    observed: Observed,
    found: Sequence[Condition],
    idle_since: datetime | None,
    *,
    domain: str,
) -> DaskClusterStatus:
    """Describe a cluster in a phase, numbers and conditions."""
    default_group = observed.default_group(cluster)
    numbers = default_group.value.get("status") or {} if default_group else {}
    name = cluster.metadata.name
    return DaskClusterStatus(
        phase=_phase(cluster, observed, found),
        scheduler_address=scheduler_address(cluster, domain),
        dashboard_address=dashboard_address(cluster, domain),
        workers=f"{_ready(observed)}/{_wanted(cluster, observed)}",
        replicas=numbers.get("replicas", 0),
        ready_replicas=numbers.get("readyReplicas", 0),
        updated_replicas=numbers.get("updatedReplicas", 0),
        idle_since=idle_since,
        selector=labels.selector(labels.worker(name, names.default_group(name))),
        observed_generation=cluster.metadata.generation,
        conditions=tuple(found),
    )


def _phase(cluster: DaskCluster, observed: Observed, found: Sequence[Condition]) -> str:
    held = {entry.type: entry for entry in found if entry.status == "True"}
    if "Degraded" in held and held["Degraded"].reason == "InvalidSpec":
        return "Error"
    if cluster.spec.suspend and not _left(observed):
        return "Suspended"
    if "SchedulerReady" in held:
        return "Running"
    return "Pending" if observed.schedulers else "Created"


def conditions(
    cluster: DaskCluster, observed: Observed, outcome: Outcome, *, passed_on: bool = False
) -> tuple[Condition, ...]:
    """Return the conditions of a cluster.

    ``passed_on``: an edit has just been passed on to a group, of which what is observed does not know yet.
    """
    degraded = _degraded(observed, outcome)
    if cluster.spec.suspend:
        return _suspended(cluster, observed, degraded)
    scheduler = scheduler_not_ready(observed)
    wanted, ready = _wanted(cluster, observed), _ready(observed)
    counts = f"{ready} of {wanted} workers are ready"
    workers = None if ready >= wanted else Finding("WorkersNotReady", counts)
    missing = scheduler or workers
    moving = missing or (_PASSED_ON if passed_on else _updating(observed))
    complete = Finding("Complete", f"the scheduler is ready, {counts}")
    return findings.conditions(
        cluster.metadata.generation,
        SchedulerReady=(scheduler is None, scheduler or Finding("SchedulerReady", "the scheduler is ready")),
        WorkersReady=(workers is None, workers or Finding("WorkersReady", counts)),
        Ready=(missing is None, missing or complete),
        Progressing=(moving is not None and degraded is None, degraded or moving or complete),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )


def _suspended(cluster: DaskCluster, observed: Observed, degraded: Finding | None) -> tuple[Condition, ...]:
    """A cluster that rests, or is about to: what runs is told as it is until it is gone."""
    rest = Finding("Suspended", "spec.suspend is true: nothing runs until it is false")
    scheduler = scheduler_not_ready(observed) if observed.scheduler else rest
    left = _left(observed)
    going = Finding("Suspending", f"{left} pods are still there") if left else rest
    return findings.conditions(
        cluster.metadata.generation,
        SchedulerReady=(scheduler is None, scheduler or Finding("SchedulerReady", "the scheduler is ready")),
        WorkersReady=(False, rest),
        Ready=(False, rest),
        Progressing=(left > 0 and degraded is None, degraded or going),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )


def _left(observed: Observed) -> int:
    return len(observed.schedulers) + observed.replicas + observed.retiring


def _degraded(observed: Observed, outcome: Outcome) -> Finding | None:
    """What went wrong: first what was refused, then the scheduler, then a group."""
    return (
        refused(outcome)
        or troubled(pod.value for pod in observed.schedulers if not pod.deleting)
        or _of_a_group(observed, "Degraded")
    )


def _updating(observed: Observed) -> Finding | None:
    """What goes on in a group while all of its workers are ready, or will when it sees its own edit."""
    for group in sorted(observed.groups, key=lambda group: group.key.name):
        seen = (group.value.get("status") or {}).get("observedGeneration")
        if seen != group.value["metadata"].get("generation"):
            return Finding("Updating", f"DaskWorkerGroup {group.key.name}: its edit is being looked at")
    return _of_a_group(observed, "Progressing", lambda reason: reason in _ROLLOUT)


def _of_a_group(
    observed: Observed, kind: str, matters: Callable[[str], bool] = lambda _: True
) -> Finding | None:
    """The first group that has this condition, for a reason that matters."""
    for group in sorted(observed.groups, key=lambda group: group.key.name):
        for entry in conditions_of(group.value):
            if entry.type == kind and entry.status == "True" and matters(entry.reason):
                return Finding(entry.reason, f"DaskWorkerGroup {group.key.name}: {entry.message}")
    return None


def scheduler_not_ready(observed: Observed) -> Finding | None:
    """Why the scheduler cannot be reached, None if it can."""
    pod, service = observed.scheduler, observed.service
    if pod is None:
        going = next((pod.key.name for pod in observed.schedulers if pod.deleting), None)
        sentence = f"waiting for pod {going} to terminate" if going else "there is no scheduler pod yet"
        return Finding("SchedulerMissing", sentence)
    if not pod.value.ready:
        reason, message = pod.value.trouble or ("SchedulerNotReady", "not ready yet")
        return Finding(reason, f"scheduler pod {pod.key.name}: {message}")
    if service is None:
        return Finding("ServiceMissing", "there is no scheduler service yet")
    if not service.value.reachable:
        return Finding("LoadBalancerPending", f"service {service.key.name} has no load balancer address yet")
    return None


def _wanted(cluster: DaskCluster, observed: Observed) -> int:
    wanted: int = sum(
        ((group.value.get("spec") or {}).get("worker") or {}).get("replicas", 1) for group in observed.groups
    )
    return wanted if observed.default_group(cluster) else wanted + cluster.spec.worker.replicas


def _ready(observed: Observed) -> int:
    ready: int = sum((group.value.get("status") or {}).get("readyReplicas", 0) for group in observed.groups)
    return ready
