"""Which outdated workers make room for new ones. Pure; the time is passed in.

The next step depends on the present workers alone. ``ready`` workers are ready, whatever template they are
created from; a new one also has to be registered with the scheduler, since outdated workers cannot move their
data to it before. Ready outdated workers are drained as long as

    ready - drained >= least

where ``least`` is the number of desired workers less those that may be missing. In a small group none may be
missing, since additional workers join it first (`surge`).
Outdated workers that do not run are missing anyway, and are deleted at once. Those that may have started
without being reported yet may have data, so the scheduler is asked first. So a broken template costs
``unavailable`` workers and no more, and after it is fixed or reverted, its workers are replaced first.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from dask_k8s_controller.dask.workergroup.observe import newest_first
from dask_k8s_controller.dask.workergroup.retirement import Drain, Step, is_overdue
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_crds.updates import UpdateStrategy


def next_step(
    living: Sequence[Record],
    least: int,
    digest: str,
    strategy: UpdateStrategy,
    *,
    unregistered: Sequence[Record] = (),
) -> Step:
    """Return the next step of a group whose current template has this digest.

    ``unregistered``: those of the step's ``successors`` that the scheduler does not know, once it was asked.
    """
    outdated = newest_first([worker for worker in living if worker.value.outdated(digest)])
    if not outdated or strategy.type == "OnDelete":
        return Step()
    if strategy.type == "Recreate":
        return Step(delete=tuple(outdated))
    ready = sum(worker.value.ready for worker in living) - len(unregistered)
    budget = ready - least
    healthy = tuple(worker for worker in outdated if worker.value.ready)
    unready = tuple(worker for worker in outdated if worker.value.may_run and not worker.value.ready)
    counts = ((unready, len(unready)), (healthy, min(budget, len(healthy))))
    drains = tuple(Drain(candidates, count) for candidates, count in counts if count > 0)
    return Step(
        delete=tuple(worker for worker in outdated if not worker.value.may_run and not worker.value.ready),
        drains=drains,
        successors=successors(living, digest) if drains else (),
        unregistered=tuple(unregistered),
        rollout=strategy,
    )


def successors(living: Sequence[Record], digest: str) -> tuple[Record, ...]:
    """Return the ready workers of the current template; not those that share their node's address.

    The scheduler knows workers by address, so it cannot say whether these have registered.
    """
    return tuple(
        worker
        for worker in living
        if worker.value.ready and worker.value.ip and not worker.value.outdated(digest)
    )


def delete_overdue(step: Step, now: datetime) -> Step:
    """Return the step in which workers that have been draining for too long are deleted instead."""
    if step.rollout is None:
        return step
    delete, drains = list(step.delete), []
    for drain in step.drains:
        overdue = [pod for pod in drain.candidates if is_overdue(pod, step.rollout, now)][: drain.count]
        uids = {pod.uid for pod in overdue}
        delete += overdue
        if count := drain.count - len(overdue):
            drains.append(Drain(tuple(pod for pod in drain.candidates if pod.uid not in uids), count))
    return dataclasses.replace(step, delete=tuple(delete), drains=tuple(drains))
