"""Allocate work to groups, and compute how many pods each group needs. Pure; the past plays no role here.

Work goes to pods that exist or have been requested first, then to pods that may be added. In both cases it
goes to groups that the autoscaler does not scale first, since their pods exist anyway, then by ascending
priority, then to pods that offer the fewest resources which the tasks do not ask for. Plain tasks therefore
do not scale up a GPU group.

The work is the number of different requirements of tasks times the number of groups and worker pools, since
there is no faster way in general to find out which pods can run which tasks. `Demand` limits requirements
and pools.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from dask_k8s_autoscaler import sizing
from dask_k8s_autoscaler.model import Group, Resources, Work, WorkerPool
from dask_k8s_autoscaler.sizing import Capacities, PodCapacity

_ResourceKey = frozenset[tuple[str, float]]
"""Resources as a key of a dict: equal resources have equal keys."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many pods a group needs, how many may be busy, and whether data are the reason."""

    pods: int
    busy: int = 0
    for_data: bool = False


@dataclass(frozen=True, slots=True)
class Allocation:
    """What each group needs, by name.

    Attributes:
        capacities: The capacities of pods of the groups that have connected workers.
        full: Groups that need more pods than their maximum.
        unsatisfiable: Resources that tasks ask for and no group offers that has workers or may get some.
    """

    needs: Mapping[str, Need]
    capacities: Capacities
    full: tuple[str, ...] = ()
    unsatisfiable: tuple[Resources, ...] = ()


@dataclass(frozen=True, slots=True)
class _Tasks:
    """Tasks that ask for the same resources."""

    asks: Resources
    count: float
    seconds: float


@dataclass(slots=True)
class _Pods:
    """Equal pods: those of a group or, with `group` None, connected workers beyond the size of all groups."""

    group: Group | None
    offers: Resources
    capacity: PodCapacity
    existing: int
    maximum: float
    for_tasks: float = 0.0
    """Pods that the allocated tasks need, not rounded."""
    minimum: int = 0
    """Pods that data or busy workers need."""

    @property
    def scaled(self) -> bool:
        """Whether the autoscaler scales these pods."""
        return self.group is not None and self.group.bounds is not None

    @property
    def needed(self) -> int:
        """The pods that everything allocated so far needs."""
        return max(self.minimum, sizing.round_up(self.for_tasks))

    @property
    def rank(self) -> tuple[bool, int, int]:
        """The sort key by which tasks choose among the pods that can run them.

        These offer all resources that the tasks ask for. So those with the fewest resources in total have
        the fewest that the tasks do not ask for.
        """
        return self.scaled, self.group.priority if self.group and self.scaled else 0, len(self.offers)

    def slots(self, asks: Resources) -> float:
        """Return how many tasks that ask for these resources one pod runs at a time."""
        return sizing.task_slots(self.capacity.threads, self.offers, asks)

    def allocate(self, tasks: _Tasks, target: float, slots: float, limit: float) -> _Tasks | None:
        """Allocate as many tasks as `limit` pods with so many slots each can run, and return the rest."""
        pods = sizing.pods_for_tasks(tasks.seconds, tasks.count, target=target, slots=slots)
        free = limit - self.for_tasks
        if limit < 1 or (free <= 0 and pods > 0):
            return tasks
        part = 1.0 if pods <= free else free / pods
        self.for_tasks += part * pods
        self.minimum = max(self.minimum, 1)
        if part == 1.0:
            return None
        return _Tasks(tasks.asks, (1 - part) * tasks.count, (1 - part) * tasks.seconds)


class _Allocator:
    """The state of one allocation."""

    def __init__(self, work: Work, pods: Iterable[_Pods]) -> None:
        self.target = work.target
        self.has_tasks = bool(work.tasks)
        self.pods = sorted(pods, key=lambda each: each.rank)
        self.full: dict[str, None] = {}
        self.unsatisfiable: dict[_ResourceKey, Resources] = {}
        self.for_data: set[str] = set()
        self.busy: dict[str, int] = {}
        self._by_offers: defaultdict[_ResourceKey, list[_Pods]] = defaultdict(list)
        self._by_name: defaultdict[str, list[_Pods]] = defaultdict(list)
        for each in self.pods:
            self._by_offers[_key(each.offers)].append(each)
            for name in each.offers:
                self._by_name[name].append(each)

    def allocate(self, tasks: _Tasks) -> None:
        """Allocate tasks to existing pods, then to pods that may be added."""
        offering = (self._by_name.get(name, []) for name in tasks.asks)
        candidates = min(offering, key=len, default=self.pods)
        able = [(pods, slots) for pods in candidates if (slots := pods.slots(tasks.asks))]
        rest = tasks
        for grow in (False, True):
            for pods, slots in able:
                limit = pods.maximum if grow else min(max(pods.existing, pods.needed), pods.maximum)
                left = pods.allocate(rest, self.target, slots, limit)
                if left is None:
                    return
                rest = left
        if any(pods.maximum for pods, _ in able):
            self._mark_full(pods for pods, _ in able)
        else:
            self.unsatisfiable.setdefault(_key(tasks.asks), tasks.asks)

    def reserve_for_data(self, pool: WorkerPool) -> None:
        """Reserve pods for the data of these workers; more than exist only while there are tasks."""
        equal = self._by_offers.get(_key(pool.offers), [])
        count = max((sizing.pods_for_data(pool.data, pods.capacity.data) for pods in equal), default=0)
        for pods in equal:
            if pods.group is not None and count > pods.needed:
                self.for_data.add(pods.group.name)
            pods.minimum = max(pods.minimum, min(count, max(pods.existing, pods.needed)))
            count -= min(count, pods.needed)
        for pods in equal if self.has_tasks else ():
            extra = int(min(count, pods.maximum - pods.needed))
            if pods.scaled and extra > 0:
                pods.minimum = pods.needed + extra
                count -= extra
        if count and self.has_tasks:
            self._mark_full(equal)

    def reserve_for_busy(self, pool: WorkerPool) -> None:
        """Reserve the pods of busy workers; those whose group is unknown may belong to any group."""
        equal = self._by_offers.get(_key(pool.offers), [])
        of_no_group = sum(pods.existing for pods in equal if pods.group is None)
        unknown = max(0, pool.workers - pool.idle - sum(pool.busy.values()) - of_no_group)
        for pods in equal:
            if pods.group is not None and pods.scaled:
                workers = pool.busy.get(pods.group.name, 0) + unknown
                busy = min(math.ceil(workers / pods.group.processes), pods.existing)
                self.busy[pods.group.name] = busy
                pods.minimum = max(pods.minimum, busy)

    def _mark_full(self, candidates: Iterable[_Pods]) -> None:
        self.full.update({pods.group.name: None for pods in candidates if pods.group and pods.scaled})


def allocate(groups: Sequence[Group], work: Work, known: Capacities) -> Allocation:
    """Allocate the work to groups; `known` are earlier capacities of pods of groups that have none now."""
    pools = {_key(pool.offers): pool for pool in reversed(work.pools)}
    of_groups = [_pods(group, pools.get(_key(group.offers)), known.get(group.name)) for group in groups]
    allocator = _Allocator(work, [*_pods_of_no_group(groups, work), *of_groups])
    # Tasks that ask for more resources come first, since fewer groups can run them.
    for tasks in sorted(_tasks(work), key=lambda tasks: -len(tasks.asks)):
        allocator.allocate(tasks)
    for pool in work.pools:
        allocator.reserve_for_data(pool)
    for pool in work.pools:
        allocator.reserve_for_busy(pool)
    scaled = {pods.group.name: pods for pods in of_groups if pods.group is not None and pods.scaled}
    connected = {_key(pool.offers) for pool in work.pools if pool.workers}
    return Allocation(
        needs={
            name: Need(pods.needed, allocator.busy.get(name, 0), name in allocator.for_data)
            for name, pods in scaled.items()
        },
        capacities={name: pods.capacity for name, pods in scaled.items() if _key(pods.offers) in connected},
        full=tuple(allocator.full),
        unsatisfiable=tuple(allocator.unsatisfiable.values()),
    )


def _tasks(work: Work) -> Iterable[_Tasks]:
    """Group all tasks by the resources that they ask for, and by whether they are long.

    The pods that short tasks need (`sizing.pods_for_tasks`) depend on their duration, and those that long
    tasks need on their number. So the sum of tasks of one kind needs as many pods as they do one by one.
    """
    waiting = (_Tasks(each.asks, each.tasks, each.seconds) for each in work.waiting)
    tasks = chain(chain.from_iterable(map(_tasks_of_workers, work.pools)), waiting)
    found: dict[tuple[_ResourceKey, bool], _Tasks] = {}
    for each in tasks:
        if each.count > 0:
            asks = {name: amount for name, amount in each.asks.items() if amount > 0}
            key = _key(asks), each.seconds > work.target * each.count
            same = found.get(key, _Tasks(asks, 0, 0))
            found[key] = _Tasks(asks, same.count + each.count, same.seconds + each.seconds)
    return found.values()


def _tasks_of_workers(pool: WorkerPool) -> Iterable[_Tasks]:
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
        yield _Tasks(asks, count, part * pool.seconds)
    yield _Tasks({}, pool.tasks - count, (1 - part) * pool.seconds)


def _pods(group: Group, pool: WorkerPool | None, earlier: PodCapacity | None) -> _Pods:
    capacity = sizing.pod_capacity(pool, earlier, threads=group.threads, processes=group.processes)
    maximum: float = group.replicas
    if group.bounds is not None:
        maximum = math.inf if group.bounds.maximum is None else group.bounds.maximum
    return _Pods(group, group.offers, capacity, group.replicas, maximum)


def _pods_of_no_group(groups: Sequence[Group], work: Work) -> Iterable[_Pods]:
    """Yield connected workers beyond the replicas of the groups, which are capacity as well."""
    by_offers: defaultdict[_ResourceKey, list[Group]] = defaultdict(list)
    for group in groups:
        by_offers[_key(group.offers)].append(group)
    for pool in work.pools:
        equal = by_offers.get(_key(pool.offers), [])
        processes = max((group.processes for group in equal), default=1)
        surplus = pool.workers // processes - sum(group.replicas for group in equal)
        if surplus > 0:
            capacity = sizing.pod_capacity(pool, None, threads=0, processes=processes)
            yield _Pods(None, pool.offers, capacity, surplus, surplus)


def _key(resources: Resources) -> _ResourceKey:
    return frozenset(resources.items())
