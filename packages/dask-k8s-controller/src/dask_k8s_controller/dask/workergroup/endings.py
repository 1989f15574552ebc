"""Workers that ended in order, because Dask or its user ended them. Pure.

`Client.retire_workers`, `Worker.close`, ``dask worker --lifetime`` and `Client.restart` without a nanny end a
worker with exit code 0. So does a command that is not a worker, such as ``true``, again and again. A worker
has ended in order if it had registered with the scheduler, or ran for a while; it is replaced at once.
"""

from collections.abc import Mapping
from datetime import datetime

from dask_k8s_controller.dask.workergroup.observe import Observed
from dask_k8s_controller.runtime.cache import Record

LONG_SECONDS = 60.0
"""The time after which a run with exit code 0 was no failed start, whatever the scheduler knows of it."""


def unclear(observed: Observed) -> tuple[Record, ...]:
    """Return the workers of which only the scheduler knows whether they ended in order."""
    return tuple(pod for pod, seconds in _completed(observed) if seconds < LONG_SECONDS)


def in_order(observed: Observed, left: Mapping[str, float], now: datetime) -> frozenset[str]:
    """Return the uids of the workers that ended in order.

    ``left``: how many seconds ago a worker in this pod, or with its IP address, left the scheduler. An
    earlier pod may have had the same address.
    """
    return frozenset(
        pod.uid
        for pod, seconds in _completed(observed)
        if seconds >= LONG_SECONDS or left.get(pod.key.name, float("inf")) <= pod.value.age(now)
    )


def _completed(observed: Observed) -> list[tuple[Record, float]]:
    pods = (*observed.living, *observed.finished)
    return [(pod, pod.value.completed_seconds) for pod in pods if pod.value.completed_seconds is not None]
