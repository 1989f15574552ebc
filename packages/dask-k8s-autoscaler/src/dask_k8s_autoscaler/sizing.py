"""How many pods some work or some data need. Pure arithmetic; `allocation` distributes work among groups.

Compare `distributed.Scheduler.adaptive_target`; docstrings say where this module deviates from it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dask_k8s_autoscaler.model import Resources, WorkerPool

MEMORY_TARGET = 0.6
"""Fraction of its memory limit that a worker should use; above, Dask spills data to disk."""
MAX_UNMANAGED_MEMORY = 0.3
"""Fraction of its memory limit that a worker may use for other things: Python, libraries, running tasks."""

ROUNDING_ERROR = 1e-9
"""A difference in pods that is none."""


@dataclass(frozen=True, slots=True)
class PodCapacity:
    """What one pod can do: its threads, and the bytes of data that it can hold (0 without a memory limit)."""

    threads: float
    data: float = 0.0


Capacities = Mapping[str, PodCapacity]
"""Capacities of pods by the name of their group."""


def round_up(number: float) -> int:
    """Round up, but ignore rounding errors."""
    return math.ceil(number - ROUNDING_ERROR)


def task_slots(threads: float, offers: Resources, asks: Resources) -> float:
    """Return how many tasks that ask for these resources a pod runs at a time; 0 if it cannot run any.

    `adaptive_target` ignores resources: a worker with four threads and one GPU runs one GPU task at a time.
    """
    slots = threads
    for name, amount in asks.items():
        if amount > 0:
            multiple = offers.get(name, 0.0) / amount
            if multiple < 1:
                return 0.0
            if multiple < slots:  # it may be infinite
                slots = math.floor(multiple)
    return max(1.0, slots)


def pods_for_tasks(seconds: float, tasks: float, *, target: float, slots: float) -> float:
    """Return how many pods, not rounded, finish tasks of `seconds` in sum within `target` seconds.

    The result is at most one slot per task, so that a few long tasks do not need many pods.
    `adaptive_target` applies that limit to all tasks together, where short tasks lift it for long ones.
    """
    return min(seconds / (target * slots), tasks / slots)


def data_capacity(pool: WorkerPool, processes: int) -> float:
    """Return how many bytes of data a pod may hold to stay below `MEMORY_TARGET`, 0 without a limit.

    Unmanaged memory of the workers is subtracted, but not more than `MAX_UNMANAGED_MEMORY`: more workers
    would not help a worker that exceeds it without any data.
    """
    if not pool.workers or not pool.limit:
        return 0.0
    limit = pool.limit / pool.workers
    unmanaged = (pool.memory - pool.data) / pool.workers
    return processes * (MEMORY_TARGET * limit - min(max(unmanaged, 0.0), MAX_UNMANAGED_MEMORY * limit))


def pods_for_data(data: float, capacity: float) -> int:
    """Return how many pods hold the data if each holds `capacity` bytes; one if that is unknown.

    `adaptive_target` doubles the workers again and again while more than 60 % of the memory is in use; this
    is proportional, so that workers which have not started yet count.
    """
    if data <= 0:
        return 0
    return max(1, round_up(data / capacity)) if capacity > 0 else 1


def pod_capacity(
    pool: WorkerPool | None, known: PodCapacity | None, *, threads: int, processes: int
) -> PodCapacity:
    """Return the capacity of a pod: that of connected workers, an earlier one, or that of the template.

    The default is one thread. `adaptive_target` takes the average of all workers of the cluster.
    """
    if pool is not None and pool.workers:
        return PodCapacity(processes * pool.threads / pool.workers or 1.0, data_capacity(pool, processes))
    return known or PodCapacity(float(threads or processes))
