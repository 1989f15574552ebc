"""Allocate work to groups, and compute how many pods each group needs. Pure; the past plays no role here.

Work goes to pods that exist or have been requested first, then to pods that may be added. In both cases it
goes to groups that the autoscaler does not scale first, since their pods exist anyway, then by ascending
priority, then to pods that offer the fewest resources which the tasks do not ask for. Plain tasks therefore
do not scale up a GPU group.

Pods whose workers have not registered are promises. So work is allocated twice, and each group gets the
larger number of pods: once as if every promise is kept, so that a group whose pods are stuck keeps the size
that it would have if they started; and once to registered workers first, then to pods that are coming, never
to pods that are stuck, so that other groups do the work until they are really replaced.

The work is the number of different requirements of tasks times the number of groups and worker pools, since
there is no faster way in general to find out which pods can run which tasks. `Demand` limits requirements
and pools.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dask_k8s_autoscaler import sizing
from dask_k8s_autoscaler.capacity import Kept, Limits, Pods, Present, View, pods_of, registered_pods
from dask_k8s_autoscaler.model import Group, Resources, Work, WorkerPool
from dask_k8s_autoscaler.sizing import Capacities
from dask_k8s_autoscaler.tasks import ResourceKey, Tasks, resource_key, tasks_of


@dataclass(frozen=True, slots=True)
class Need:
    """How many pods a group needs, how many may be busy, and why.

    Attributes:
        pods: The pods that are needed.
        busy: The pods that may have tasks.
        for_data: Whether data are the reason.
        for_stuck: Whether it does work of groups whose pods are stuck.
    """

    pods: int
    busy: int = 0
    for_data: bool = False
    for_stuck: bool = False


@dataclass(frozen=True, slots=True)
class Allocation:
    """What each group needs, by name.

    Attributes:
        capacities: The capacities of pods of the groups that have connected workers.
        full: Groups that need more pods than their maximum.
        unsatisfiable: Resources that tasks ask for and no group offers that has workers or may get some.
        unserved: Whether there is work for stuck pods that no other group can do.
    """

    needs: Mapping[str, Need]
    capacities: Capacities
    full: tuple[str, ...] = ()
    unsatisfiable: tuple[Resources, ...] = ()
    unserved: bool = False


class _Allocator:
    """The state of one allocation."""

    def __init__(self, work: Work, pods: Iterable[Pods]) -> None:
        self.target = work.target
        self.has_tasks = bool(work.tasks)
        self.pods = sorted(pods, key=lambda each: each.rank)
        self.full: dict[str, None] = {}
        self.unsatisfiable: dict[ResourceKey, Resources] = {}
        self.unserved = False
        self.for_data: set[str] = set()
        self.busy: dict[str, int] = {}
        self._by_offers: defaultdict[ResourceKey, list[Pods]] = defaultdict(list)
        self._by_name: defaultdict[str, list[Pods]] = defaultdict(list)
        for each in self.pods:
            self._by_offers[resource_key(each.offers)].append(each)
            for name in each.offers:
                self._by_name[name].append(each)

    def run(self, work: Work) -> None:
        """Allocate everything."""
        for pool in work.pools:
            self._allocate_pinned(pool)
        # Tasks that ask for more resources come first, since fewer groups can run them.
        for tasks in sorted(tasks_of(work), key=lambda tasks: -len(tasks.asks)):
            self._allocate(tasks)
        for pool in work.pools:
            self._reserve_for_data(pool)
        for pool in work.pools:
            self._reserve_for_workers(pool)

    def _allocate(self, tasks: Tasks) -> None:
        """Allocate tasks to existing pods, then to pods that may be added."""
        offering = (self._by_name.get(name, []) for name in tasks.asks)
        candidates = min(offering, key=len, default=self.pods)
        able = [(pods, slots) for pods in candidates if (slots := pods.slots(tasks.asks))]
        rest = tasks
        for turn in range(len(Limits._fields)):
            for pods, slots in able:
                limit = min(max(pods.limits[turn], pods.needed), pods.limits.last)
                left = pods.allocate(rest, self.target, slots, limit)
                if left is None:
                    return
                rest = left
        if any(pods.maximum for pods, _ in able):
            self._mark_full(pods for pods, _ in able)
        else:
            self.unsatisfiable.setdefault(resource_key(tasks.asks), tasks.asks)

    def _allocate_pinned(self, pool: WorkerPool) -> None:
        """Allocate the tasks that only the workers which have them can run to the pods of these workers."""
        rest = Tasks({}, pool.pinned_tasks, pool.pinned_seconds)
        for pods in self._by_offers.get(resource_key(pool.offers), []):
            limit = pool.pods_that_stay(pods.group) if pods.group else pods.existing
            left = pods.allocate(rest, self.target, pods.slots({}), limit) if rest.count > 0 else None
            if left is None:
                return
            rest = left

    def _reserve_for_data(self, pool: WorkerPool) -> None:
        """Reserve pods for the data of these workers; more than exist only while there are tasks."""
        equal = self._by_offers.get(resource_key(pool.offers), [])
        count = max((sizing.pods_for_data(pool.data, pods.capacity.data) for pods in equal), default=0)
        for pods in equal:
            if pods.group is not None and count > pods.needed:
                self.for_data.add(pods.group.name)
            pods.minimum = max(pods.minimum, min(count, max(pods.existing, pods.needed)))
            count -= min(count, pods.needed)
        for pods in equal if self.has_tasks else ():
            extra = int(min(count, pods.limits.last - pods.needed))
            if pods.scaled and extra > 0:
                pods.minimum = pods.needed + extra
                count -= extra
        if count and self.has_tasks:
            self._mark_full(equal)

    def _reserve_for_workers(self, pool: WorkerPool) -> None:
        """Reserve the pods of workers that have to stay."""
        equal = self._by_offers.get(resource_key(pool.offers), [])
        of_no_group = sum(pods.existing for pods in equal if pods.group is None)
        for pods in equal:
            if pods.group is not None and pods.scaled:
                busy = min(pool.busy_pods(pods.group, of_no_group), pods.existing)
                self.busy[pods.group.name] = busy
                staying = busy if pool.pinned is None else pool.pods_that_stay(pods.group)
                pods.minimum = max(pods.minimum, min(staying, pods.existing))

    def _mark_full(self, candidates: Iterable[Pods]) -> None:
        """Mark those whose maximum is the reason that something is left; the pods of others are stuck."""
        for pods in candidates:
            if pods.limits.last < pods.maximum:
                self.unserved = True
            elif pods.group and pods.scaled:
                self.full[pods.group.name] = None


def allocate(groups: Sequence[Group], work: Work, known: Capacities) -> Allocation:
    """Allocate the work to groups; `known` are earlier capacities of pods of groups that have none now."""
    kept, of_kept = _run(groups, work, known, Kept())
    present, of_present = kept, of_kept
    registered = registered_pods(groups, work)
    if any(registered[group.name] < group.replicas for group in groups):
        present, of_present = _run(groups, work, known, Present(registered))
    connected = {resource_key(pool.offers) for pool in work.pools if pool.workers}
    return Allocation(
        needs={
            name: Need(
                max(pods.replicas, of_present[name].replicas),
                kept.busy.get(name, 0),
                name in kept.for_data,
                of_present[name].for_tasks > pods.for_tasks + sizing.ROUNDING_ERROR,
            )
            for name, pods in of_kept.items()
        },
        capacities={
            name: pods.capacity for name, pods in of_kept.items() if resource_key(pods.offers) in connected
        },
        full=tuple({**kept.full, **present.full}),
        unsatisfiable=tuple(kept.unsatisfiable.values()),
        unserved=present.unserved,
    )


def _run(
    groups: Sequence[Group], work: Work, known: Capacities, view: View
) -> tuple[_Allocator, dict[str, Pods]]:
    """Allocate the work to pods as `view` counts them; return also the pods of the scaled groups."""
    pods = pods_of(groups, work, known, view)
    allocator = _Allocator(work, pods)
    allocator.run(work)
    return allocator, {each.group.name: each for each in pods if each.group is not None and each.scaled}
