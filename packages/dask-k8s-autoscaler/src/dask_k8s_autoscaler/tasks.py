"""Group tasks by what they require. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from dask_k8s_autoscaler.model import Resources, Work, WorkerPool

ResourceKey = frozenset[tuple[str, float]]
"""Resources as a key of a dict: equal resources have equal keys."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks that ask for the same resources."""

    asks: Resources
    count: float
    seconds: float


def resource_key(resources: Resources) -> ResourceKey:
    """Return resources as a key."""
    return frozenset(resources.items())


def tasks_of(work: Work) -> Iterable[Tasks]:
    """Group all tasks by the resources that they ask for, and by whether they are long.

    The pods that short tasks need (`sizing.pods_for_tasks`) depend on their duration, and those that long
    tasks need on their number. So the sum of tasks of one kind needs as many pods as they do one by one.
    """
    waiting = (Tasks(each.asks, each.tasks, each.seconds) for each in work.waiting)
    tasks = chain(chain.from_iterable(map(_tasks_of_workers, work.pools)), waiting)
    found: dict[tuple[ResourceKey, bool], Tasks] = {}
    for each in tasks:
        if each.count > 0:
            asks = {name: amount for name, amount in each.asks.items() if amount > 0}
            key = resource_key(asks), each.seconds > work.target * each.count
            same = found.get(key, Tasks(asks, 0, 0))
            found[key] = Tasks(asks, same.count + each.count, same.seconds + each.seconds)
    return found.values()


def _tasks_of_workers(pool: WorkerPool) -> Iterable[Tasks]:
    """Split the tasks that workers have into tasks that ask for resources, and plain ones.

    Only the sum of the resources is known. Each task is assumed to ask for one of a resource, or for more if
    there are not enough tasks for that.
    """
    if not pool.tasks:
        return
    asked = {name: amount for name, amount in pool.asked.items() if amount > 0 and name in pool.offers}
    needed = max((amount / min(1, pool.offers[name]) for name, amount in asked.items()), default=0)
    count = min(pool.tasks, needed)
    part = count / pool.tasks
    if asked:
        asks = {name: min(amount / count, pool.offers[name]) for name, amount in asked.items()}
        yield Tasks(asks, count, part * pool.seconds)
    yield Tasks({}, pool.tasks - count, (1 - part) * pool.seconds)
