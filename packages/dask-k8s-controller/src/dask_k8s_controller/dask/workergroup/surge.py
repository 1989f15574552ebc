"""Additional workers of a rolling update: how many there may be, and whether they can come. Pure.

A worker that leaves moves its data to another one. In a small group no other one may be left, so a rolling
update creates additional workers first (``maxSurge``). A quota may refuse them, or no node may have room for
them. Then the update goes on with the workers that are there.
"""

from collections.abc import Sequence
from datetime import datetime

from dask_k8s_controller.dask.findings import Finding, exceeds_quota
from dask_k8s_controller.dask.pods.capacity import seconds_until_stuck, stuck_pods
from dask_k8s_controller.dask.pods.view import Pod
from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds.updates import UpdateStrategy


def limit(observed: Observed, replicas: int, strategy: UpdateStrategy) -> int:
    """Return how many workers there may be now: additional ones only as long as there are outdated ones."""
    outdated = sum(1 for pod in observed.living if pod.value.outdated(observed.digest))
    return replicas + min(strategy.surge(replicas), outdated)


def coming(
    observed: Observed, replicas: int, strategy: UpdateStrategy, now: datetime, *, refused: bool = False
) -> int:
    """Return how many workers there will be before one leaves.

    ``refused``: a quota does not allow additional ones. A worker for which there has been no node for as long
    as draining may take is not expected any more.
    """
    number = observed.count if refused else max(observed.count, limit(observed, replicas, strategy))
    return number - len(stuck_pods(_unschedulable(observed), strategy.drain_timeout_seconds, now))


def look_again(observed: Observed, strategy: UpdateStrategy, now: datetime) -> float | None:
    """Return in how many seconds the next unschedulable worker will not be expected any more."""
    patience = strategy.drain_timeout_seconds
    waits = (seconds_until_stuck(pod, patience, now) for pod in _unschedulable(observed))
    return min((wait for wait in waits if wait is not None and wait > 0), default=None)


def refusals(outcome: Outcome, create: Sequence[Create], missing: int) -> tuple[WriteError, ...]:
    """Return the errors with which a quota refused additional workers.

    The first ``missing`` ones are desired workers: their refusal is an error like others.
    """
    additional = {action.key for action in create[max(0, missing) :]}
    errors = (error for error in outcome.errors if isinstance(error, WriteError) and exceeds_quota(error))
    return tuple(
        error for error in errors if isinstance(error.action, Create) and error.action.key in additional
    )


def refused_finding(refusals: Sequence[WriteError], other: Finding | None) -> Finding:
    """Return the finding of a rolling update that goes on without additional workers."""
    refusal = f"{refusals[0].action}: {refusals[0].message}"
    message = f"the rolling update goes on without an additional worker (updateStrategy.maxSurge): {refusal}"
    return Finding("SurgeRefused", f"{message}; {other.message}" if other else message)


def _unschedulable(observed: Observed) -> tuple[Pod, ...]:
    """Return the workers for which one that leaves makes room; it does not help others that are stuck."""
    return tuple(
        pod.value
        for pod in observed.living
        if pod.value.trouble and pod.value.trouble.reason == "Unschedulable"
    )
