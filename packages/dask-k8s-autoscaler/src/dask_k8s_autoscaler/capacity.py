"""The pods that work can be allocated to: those of groups and others, and how many of them count. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dask_k8s_autoscaler import sizing
from dask_k8s_autoscaler.model import Group, Resources, Work, WorkerPool
from dask_k8s_autoscaler.sizing import Capacities, PodCapacity
from dask_k8s_autoscaler.tasks import ResourceKey, Tasks, resource_key


class Limits(NamedTuple):
    """How many pods may get work in the first turn of an allocation, in the second and in the last."""

    first: float
    second: float
    last: float


@dataclass(slots=True)
class Pods:
    """Equal pods: those of a group or, with `group` None, connected workers beyond the size of all groups.

    Attributes:
        existing: The pods that exist or have been requested, and count.
        maximum: The most pods that there may be.
        for_tasks: Pods that the allocated tasks need, not rounded.
        minimum: Pods that data or workers which have to stay need.
    """

    group: Group | None
    offers: Resources
    capacity: PodCapacity
    existing: int
    maximum: float
    limits: Limits
    for_tasks: float = 0.0
    minimum: int = 0

    @property
    def scaled(self) -> bool:
        """Whether the autoscaler scales these pods."""
        return self.group is not None and self.group.bounds is not None

    @property
    def needed(self) -> int:
        """The pods that everything allocated so far needs."""
        return max(self.minimum, sizing.round_up(self.for_tasks))

    @property
    def replicas(self) -> int:
        """The size of the group that has the needed pods besides its lost ones."""
        return self.needed + self.group.lost if self.group and self.needed else self.needed

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

    def allocate(self, tasks: Tasks, target: float, slots: float, limit: float) -> Tasks | None:
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
        return Tasks(tasks.asks, (1 - part) * tasks.count, (1 - part) * tasks.seconds)


class View(Protocol):
    """Which pods of a group count."""

    def existing(self, group: Group) -> int:
        """Return how many pods count."""

    def limits(self, group: Group, maximum: float) -> Limits:
        """Return how many pods may get work, of a group that may have `maximum` pods."""


class Kept:
    """Every requested pod counts, also one that is stuck; while pods are stuck, so do those to be added.

    Lost pods do not count. They take up room below the maximum until Kubernetes deletes them.
    """

    def existing(self, group: Group) -> int:  # noqa: D102  # documented in `View`
        return group.replicas - group.lost

    def limits(self, group: Group, maximum: float) -> Limits:  # noqa: D102  # documented in `View`
        requested = maximum if group.stuck else self.existing(group)
        return Limits(requested, requested, maximum)


@dataclass(frozen=True, slots=True)
class Present:
    """Registered workers come first, then pods that are coming; a group with stuck pods cannot grow."""

    registered: Mapping[str, int]

    def existing(self, group: Group) -> int:  # noqa: D102  # documented in `View`
        return group.usable

    def limits(self, group: Group, maximum: float) -> Limits:  # noqa: D102  # documented in `View`
        return Limits(self.registered[group.name], group.usable, group.usable if group.stuck else maximum)


def registered_pods(groups: Iterable[Group], work: Work) -> dict[str, int]:
    """Return how many pods of each group have registered workers; if that is not known, how many are ready.

    Workers of an unknown group may belong to any group.
    """
    known: Counter[str] = Counter()
    for pool in work.pools:
        if pool.pods is None:
            return {group.name: min(group.ready, group.usable) for group in groups}
        known.update(pool.pods)
    return {group.name: min(known[group.name] + known[""], group.usable) for group in groups}


def pods_of(groups: Sequence[Group], work: Work, known: Capacities, view: View) -> list[Pods]:
    """Return all pods as `view` counts them; `known` are earlier capacities, by group."""
    pools = {resource_key(pool.offers): pool for pool in reversed(work.pools)}
    found = [*_pods_of_no_group(groups, work, view)]
    for group in groups:
        pool, earlier = pools.get(resource_key(group.offers)), known.get(group.name)
        capacity = sizing.pod_capacity(pool, earlier, threads=group.threads, processes=group.processes)
        maximum: float = group.replicas
        if group.bounds is not None:
            maximum = math.inf if group.bounds.maximum is None else group.bounds.maximum
        maximum = max(0, maximum - group.lost)
        limits = view.limits(group, maximum)
        found.append(Pods(group, group.offers, capacity, view.existing(group), maximum, limits))
    return found


def _pods_of_no_group(groups: Sequence[Group], work: Work, view: View) -> Iterable[Pods]:
    """Yield connected workers beyond the replicas of the groups, which are capacity as well."""
    by_offers: defaultdict[ResourceKey, list[Group]] = defaultdict(list)
    for group in groups:
        by_offers[resource_key(group.offers)].append(group)
    for pool in work.pools:
        equal = by_offers.get(resource_key(pool.offers), [])
        processes = max((group.processes for group in equal), default=1)
        surplus = _surplus(pool, processes, {group.name: view.existing(group) for group in equal})
        if surplus > 0:
            capacity = sizing.pod_capacity(pool, None, threads=0, processes=processes)
            yield Pods(None, pool.offers, capacity, surplus, surplus, Limits(surplus, surplus, surplus))


def _surplus(pool: WorkerPool, processes: int, existing: Mapping[str, int]) -> int:
    """Return how many pods of these workers belong to no group; those of an unknown group fill the groups.

    Where the group is known, a worker that is about to leave its group does not count twice.
    """
    if pool.pods is None:
        return pool.workers // processes - sum(existing.values())
    unknown = pool.pods.get("", 0)
    others = sum(pods for name, pods in pool.pods.items() if name and name not in existing)
    missing = sum(max(0, count - pool.pods.get(name, 0)) for name, count in existing.items())
    return others + max(0, unknown - missing)
