"""Report: what a worker group is like. No await, no clock, no environment."""

from collections.abc import Sequence

from dask_k8s_controller.dask.findings import HEALTHY, Finding, conditions, refused, troubled
from dask_k8s_controller.dask.workergroup.retire import Retirement
from dask_k8s_controller.dask.workergroup.scale import Observed
from dask_k8s_controller.runtime.results import Outcome
from dask_k8s_crds import Condition, DaskWorkerGroup, DaskWorkerGroupStatus, labels
from dask_k8s_crds.updates import UpdateStrategy


def running(
    group: DaskWorkerGroup,
    observed: Observed,
    outcome: Outcome,
    leaving: Retirement,
    strategy: UpdateStrategy,
) -> tuple[Condition, ...]:
    """Return the conditions of a group whose cluster is there."""
    wanted, generation = group.spec.worker.replicas, group.metadata.generation
    counts = f"{observed.ready} of {wanted} workers are ready"
    complete = observed.ready == observed.count == wanted
    degraded = refused(outcome) or troubled(record.value for record in (*observed.living, *observed.finished))
    ready = Finding("WorkersReady", counts) if complete else degraded or Finding("WorkersNotReady", counts)
    updating = _updating(observed, strategy)
    moving = degraded or leaving.why or updating or Finding("Scaling", counts)
    done = complete and updating is None
    progress = Finding("Complete", counts) if done else moving
    return conditions(
        generation,
        Ready=(complete, ready),
        Progressing=(not done and not degraded, progress),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )


def _updating(observed: Observed, strategy: UpdateStrategy) -> Finding | None:
    if strategy.type == "OnDelete" or observed.updated == observed.count:
        return None
    return Finding("RollingUpdate", f"{observed.updated} of {observed.count} workers are updated")


def suspended(group: DaskWorkerGroup, observed: Observed, outcome: Outcome) -> tuple[Condition, ...]:
    """Return the conditions of a group whose cluster rests, or is about to."""
    left = observed.count + len(observed.going)
    where = f'DaskCluster "{group.spec.cluster}" is suspended (spec.suspend)'
    finding = Finding("Suspending", f"{where}: {left} workers are still there")
    if not left:
        finding = Finding("Suspended", f"{where}: no worker runs until it is not")
    degraded = refused(outcome)
    return conditions(
        group.metadata.generation,
        Ready=(False, finding),
        Progressing=(left > 0 and degraded is None, degraded or finding),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )


def waiting(group: DaskWorkerGroup) -> tuple[Condition, ...]:
    """Return the conditions of a group whose cluster is not there."""
    where = f'there is no DaskCluster "{group.spec.cluster}" in namespace "{group.metadata.namespace}"'
    finding = Finding("ClusterNotFound", f"spec.cluster: {where}; the workers start when there is")
    return conditions(
        group.metadata.generation,
        Ready=(False, finding),
        Progressing=(False, finding),
        Degraded=(False, HEALTHY),
    )


def report(
    group: DaskWorkerGroup, observed: Observed, leaving: Retirement, found: Sequence[Condition]
) -> DaskWorkerGroupStatus:
    """Describe a group in numbers and conditions."""
    return DaskWorkerGroupStatus(
        replicas=observed.count,
        ready_replicas=observed.ready,
        updated_replicas=observed.updated,
        retiring=len(observed.going) + leaving.staying,
        selector=labels.selector(labels.worker(group.spec.cluster, group.metadata.name)),
        observed_generation=group.metadata.generation,
        conditions=tuple(found),
    )
