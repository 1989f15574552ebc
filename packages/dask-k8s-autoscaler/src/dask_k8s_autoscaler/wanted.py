"""How many pods some work or some data ask for. Pure arithmetic; which pods is decided elsewhere.

Compare `distributed.Scheduler.adaptive_target`, from which this deviates where it says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dask_k8s_autoscaler.values import Pool, Resources

FULL = 0.6
"""The part of a worker's memory that may be in use; above, Dask begins to write data to disk."""
OWN = 0.3
"""The part of a worker's memory that is granted to what is no data: Python, libraries, tasks at work."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one pod has: threads, and bytes of memory that data may take (0: no limit)."""

    threads: float
    room: float = 0.0


def up(number: float) -> int:
    """Round up, but not for the sake of a rounding error."""
    return math.ceil(number - 1e-9)


def lanes(threads: float, offers: Resources, asks: Resources) -> float:
    """Return how many of these tasks a pod runs at a time; 0 where it can run none.

    ``adaptive_target`` does not know that of four tasks that ask for a GPU, a worker with four threads and
    one GPU runs one.
    """
    times = [offers.get(name, 0.0) / amount for name, amount in asks.items() if amount > 0]
    if any(each < 1 for each in times):
        return 0.0
    return max(1.0, min([threads, *map(math.floor, times)]))


def by_time(seconds: float, tasks: float, *, target: float, lanes: float) -> float:
    """Return how many pods, not rounded, finish work of so many seconds in ``target`` seconds.

    No more than have a task each in every lane, so that a few long tasks do not ask for many pods.
    ``adaptive_target`` compares the sums over all tasks instead, so that short ones unbind long ones.
    """
    return min(seconds / (target * lanes), tasks / lanes)


def room(pool: Pool, processes: int) -> float:
    """Return the bytes of data that one pod may hold so that its memory is no fuller than `FULL`.

    What a worker needs for itself is subtracted, though not more than `OWN`: were a worker that has no data
    fuller than that, more workers would not make it better.
    """
    if not pool.workers or not pool.limit:
        return 0.0
    limit = pool.limit / pool.workers
    own = (pool.memory - pool.data) / pool.workers
    return processes * (FULL * limit - min(max(own, 0.0), OWN * limit))


def by_memory(data: float, room: float) -> int:
    """Return how many pods hold the data, each of them so many bytes; one, where nobody knows how many.

    ``adaptive_target`` doubles the workers when more than 60 % is in use, time and again until the data have
    spread; here it is proportional, and workers that are still to come count.
    """
    if data <= 0:
        return 0
    return max(1, up(data / room)) if room > 0 else 1


def shape(pool: Pool | None, known: Shape | None, *, threads: int, processes: int) -> Shape:
    """Return what a pod has: as its like say that are connected, or were; as its template says; one thread.

    ``adaptive_target`` takes the average of the whole cluster, and one thread where no worker is connected.
    """
    if pool is not None and pool.workers:
        return Shape(processes * pool.threads / pool.workers or 1.0, room(pool, processes))
    return known or Shape(float(threads or processes))


Shapes = Mapping[str, Shape]
"""By the name of the group."""
