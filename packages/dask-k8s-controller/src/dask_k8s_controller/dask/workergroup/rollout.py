"""Who makes room for a worker of the current template, and how: now, or once it has handed over.

The planner is given what there is, and remembers nothing: it computes the next step alone. Of ``replicas``
wanted workers, ``ready`` are ready, whatever they were made from; a new one also has to be registered with
the scheduler, for before that nobody can hand over to it. As long as

    ready - drained >= replicas - unavailable

outdated workers that are ready may be drained; the next ones follow when new ones are ready. Outdated workers
that do not run are missing anyway, and go at once. So a template that does not work costs ``unavailable``
workers and no more, and one that is mended, or taken back, replaces these first.
Pure; the time is passed in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dask_k8s_controller.dask.workergroup.scale import newest_first
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_crds.updates import UpdateStrategy


@dataclass(frozen=True, slots=True)
class Drain:
    """``count`` of the workers ``among`` hand over what they hold, and go."""

    among: tuple[Record, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """Who goes ``now``, and who once it has handed over."""

    now: tuple[Record, ...] = ()
    drains: tuple[Drain, ...] = ()


def plan(
    living: Sequence[Record],
    replicas: int,
    digest: str,
    strategy: UpdateStrategy,
    *,
    unregistered: Collection[Record] = (),
) -> Step:
    """Return the next step of a group whose workers should be made from what has this digest."""
    outdated = newest_first([worker for worker in living if worker.value.outdated(digest)])
    if not outdated or strategy.type == "OnDelete":
        return Step()
    if strategy.type == "Recreate":
        return Step(now=tuple(outdated))
    ready = sum(worker.value.ready for worker in living) - len(unregistered)
    budget = ready - (replicas - strategy.unavailable(replicas))
    unready = tuple(worker for worker in outdated if worker.value.runs and not worker.value.ready)
    healthy = tuple(worker for worker in outdated if worker.value.ready)
    drains = (Drain(unready, len(unready)), Drain(healthy, min(budget, len(healthy))))
    return Step(
        now=tuple(worker for worker in outdated if not worker.value.runs and not worker.value.ready),
        drains=tuple(drain for drain in drains if drain.count > 0),
    )


def is_overdue(worker: Record, strategy: UpdateStrategy, now: datetime) -> bool:
    """Whether a worker has been handing over for longer than it may."""
    left = seconds_left(worker, strategy, now)
    return left is not None and left <= 0


def seconds_left(worker: Record, strategy: UpdateStrategy, now: datetime) -> float | None:
    """Return for how long a worker may go on handing over; None where it has not been told to."""
    try:
        since = datetime.fromisoformat(worker.value.draining or "")
        return strategy.drain_timeout_seconds - (now - since) / timedelta(seconds=1)
    except (TypeError, ValueError):
        return None
