"""How many workers to create, and which leave when there are too many. Pure; the time is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from dask_k8s_controller.dask.pods import restarts
from dask_k8s_controller.dask.pods.view import Pod
from dask_k8s_controller.dask.workergroup.observe import Observed, newest_first
from dask_k8s_controller.dask.workergroup.retirement import Drain, Step
from dask_k8s_controller.runtime.cache import Record

CALM_SECONDS = 600.0
"""The age at which a worker that fails is the first in a row again."""
SLICE = 500
"""The most workers to create, patch or delete in one reconcile: the next one sees edits made meanwhile."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers to create, and which finished pods to delete."""

    create: int
    finished: tuple[Record, ...]
    look_again: float | None
    failures: int = 0
    """How many failures in a row the workers to create come after."""


def decide(observed: Observed, replicas: int, now: datetime) -> Decision:
    """Compare the workers of a group with the desired number."""
    waits = {pod: seconds_until_replaced(pod, observed, now) for pod in observed.finished}
    old = tuple(pod for pod, wait in waits.items() if wait <= 0)
    recent = len(observed.finished) - len(old)
    missing = replicas - observed.count
    create = max(0, min(missing - recent, SLICE))
    later = [wait for wait in waits.values() if wait > 0]
    return Decision(
        create=create,
        finished=old if missing >= 0 else observed.finished,
        look_again=0.0 if missing - recent > create else min(later, default=None),
        failures=max((_failures(pod, observed, now) for pod in old), default=0),
    )


def scale_down(living: Sequence[Record], surplus: int, digest: str) -> Step:
    """Return the step in which ``surplus`` workers leave: pending ones, then unready ones, then ready ones.

    Of each kind, outdated workers leave first. Within one kind the scheduler chooses, since it knows their
    tasks and data; without a scheduler the newest leave. Pending workers whose node prepares them may have
    started without being reported yet, so the scheduler is asked for them, too.
    """

    def kind(pod: Record) -> tuple[bool, bool, bool, bool]:
        started = pod.value.phase != "Pending"
        may_hold_data = started or pod.value.may_run
        return may_hold_data, started, pod.value.ready, not pod.value.outdated(digest)

    delete: tuple[Record, ...] = ()
    drains = []
    for (may_hold_data, *_), pods in groupby(sorted(newest_first(living), key=kind), key=kind):
        alike = tuple(pods)
        count = max(0, min(surplus, len(alike)))
        surplus -= count
        if not may_hold_data:
            delete += alike[:count]
        elif count:
            drains.append(Drain(alike, count))
    return Step(delete=delete, drains=tuple(drains))


def seconds_until_replaced(pod: Record, observed: Observed, now: datetime) -> float:
    """Return for how long a finished pod still counts as a worker."""
    if not _failed(pod, observed):
        return 0.0
    worker: Pod = pod.value
    return restarts.delay(worker.failures) - worker.age(now)


def _failures(pod: Record, observed: Observed, now: datetime) -> int:
    """Return how many failures in a row the successor of a finished pod comes after."""
    if not _failed(pod, observed):
        return 0
    return 1 if pod.value.age(now) >= CALM_SECONDS else pod.value.failures + 1


def _failed(pod: Record, observed: Observed) -> bool:
    """Return whether its successor may fail too: nothing but the current template explains its end."""
    if pod.uid in observed.in_order:
        return False
    return not (pod.value.ended_by_node or pod.value.outdated(observed.digest))
