"""The status of a worker group: numbers and conditions. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dask_k8s_controller.dask.findings import HEALTHY, Finding, conditions, refused, unidentified_container
from dask_k8s_controller.dask.pods.view import troubled
from dask_k8s_controller.dask.workergroup import surge
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.dask.workergroup.retirement import Retirement
from dask_k8s_controller.dask.workergroup.scale import seconds_until_replaced
from dask_k8s_controller.runtime.results import Outcome
from dask_k8s_crds import Condition, DaskWorkerGroup, DaskWorkerGroupStatus, labels
from dask_k8s_crds.updates import UpdateStrategy


def running(
    desired: Desired, observed: Observed, outcome: Outcome, retirement: Retirement, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions of a group whose cluster exists and is not suspended."""
    group, replicas, strategy = desired.group, desired.replicas, desired.strategy
    counts = f"{observed.ready} of {replicas} workers are ready"
    complete = observed.ready >= replicas and observed.count <= surge.limit(observed, replicas, strategy)
    trouble = troubled(pod.value for pod in (*observed.living, *observed.finished))
    degraded = refused(outcome) or _with_back_off(trouble, observed, now)
    problem = degraded or unidentified_container(group.spec.worker.spec, labels.WORKER)
    ready = Finding("WorkersReady", counts) if complete else degraded or Finding("WorkersNotReady", counts)
    updating = _updating(observed, strategy)
    done = complete and updating is None
    progress = degraded or retirement.finding or updating or Finding("Scaling", counts)
    return conditions(
        group.metadata.generation,
        Ready=(complete, ready),
        Progressing=(not done and not degraded, Finding("Complete", counts) if done else progress),
        Degraded=(problem is not None, problem or HEALTHY),
    )


def _with_back_off(trouble: Finding | None, observed: Observed, now: datetime) -> Finding | None:
    """Return the trouble of the workers, and when those that ended by themselves are replaced."""
    waits = [(seconds_until_replaced(pod, observed, now), pod.key.name) for pod in observed.finished]
    later = sorted((wait, name) for wait, name in waits if wait > 0)
    if trouble is None or not later:
        return trouble
    wait, first = later[0]
    # As a time, since a number of seconds would change the status each second.
    at = (now + timedelta(seconds=wait)).strftime("%Y-%m-%dT%H:%M:%SZ")
    others = f", and {len(later) - 1} more later" if len(later) > 1 else ""
    message = f"after a back-off, {first} is replaced at {at}{others}"
    return Finding(trouble.reason, f"{trouble.message}; {message}")


def _updating(observed: Observed, strategy: UpdateStrategy) -> Finding | None:
    if strategy.type == "OnDelete" or observed.updated == observed.count:
        return None
    return Finding("RollingUpdate", f"{observed.updated} of {observed.count} workers are updated")


def suspended(group: DaskWorkerGroup, observed: Observed, outcome: Outcome) -> tuple[Condition, ...]:
    """Return the conditions of a group whose cluster is suspended, or still has pods."""
    left = observed.count + len(observed.terminating)
    cluster = f'DaskCluster "{group.spec.cluster}" is suspended (spec.suspend)'
    finding = Finding("Suspending", f"{cluster}: {left} workers are still there")
    if not left:
        finding = Finding("Suspended", f"{cluster}: no worker runs until it is not")
    degraded = refused(outcome)
    return conditions(
        group.metadata.generation,
        Ready=(False, finding),
        Progressing=(left > 0 and degraded is None, degraded or finding),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )


def waiting(group: DaskWorkerGroup) -> tuple[Condition, ...]:
    """Return the conditions of a group whose cluster does not exist."""
    missing = f'there is no DaskCluster "{group.spec.cluster}" in namespace "{group.metadata.namespace}"'
    finding = Finding("ClusterNotFound", f"spec.cluster: {missing}; the workers start when there is")
    return conditions(
        group.metadata.generation,
        Ready=(False, finding),
        Progressing=(False, finding),
        Degraded=(False, HEALTHY),
    )


def report(
    group: DaskWorkerGroup, observed: Observed, retirement: Retirement, found: Sequence[Condition]
) -> DaskWorkerGroupStatus:
    """Return the status with these conditions."""
    return DaskWorkerGroupStatus(
        replicas=observed.count,
        ready_replicas=observed.ready,
        updated_replicas=observed.updated,
        retiring=len(observed.terminating) + retirement.retiring,
        selector=labels.selector(labels.worker(group.spec.cluster, group.metadata.name)),
        observed_generation=group.metadata.generation,
        conditions=tuple(found),
    )
