"""The input of a decision as values: groups, work, settings. No I/O, no clock, no decisions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Resources = Mapping[str, float]
"""Dask resources, which a worker offers or a task asks for."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many workers a group may have; `maximum` None means no upper bound."""

    minimum: int = 0
    maximum: int | None = None

    def clamp(self, replicas: int) -> int:
        """Return the nearest number within the bounds."""
        return max(self.minimum, replicas if self.maximum is None else min(replicas, self.maximum))


@dataclass(frozen=True, slots=True)
class Stuck:
    """Pods of a group that have not started for longer than they may.

    Attributes:
        pods: How many there are.
        reason: What keeps most of them from starting, for example ``Unschedulable``.
        since: Since when the first of them has not started, in seconds since 1970.
        patience: The seconds that they may take (`fallbackSeconds`).
    """

    pods: int
    reason: str
    since: float
    patience: float


@dataclass(frozen=True, slots=True)
class Group:
    """A worker group.

    Attributes:
        replicas: The desired pods. Those that have not started yet count, so that none is requested twice.
        offers: Dask resources that each of its workers offers.
        bounds: None if the autoscaler does not scale the group; its pods are capacity all the same.
        priority: Groups with a low priority get work first.
        threads: Threads of one pod according to its template; 0 if the template does not say.
        processes: Dask workers in one pod.
        ready: Pods that are ready.
        stuck: The pods that are not expected to start, if there are any.
        lost: Further pods that have run and do not, since their node is lost. Others can replace them.
    """

    name: str
    replicas: int
    offers: Resources = field(default_factory=dict)
    bounds: Bounds | None = None
    priority: int = 0
    threads: int = 0
    processes: int = 1
    ready: int = 0
    stuck: Stuck | None = None
    lost: int = 0

    @property
    def usable(self) -> int:
        """The pods that have started or are expected to start."""
        return self.replicas - self.lost - (self.stuck.pods if self.stuck else 0)


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """The connected workers that offer the same resources, and the tasks that they have.

    Attributes:
        offers: Dask resources that each worker offers.
        idle: How many of the workers have no tasks.
        seconds: Estimated duration of the tasks, run one after the other.
        memory: Bytes that the processes use.
        data: Bytes of that which contain results of tasks.
        limit: Bytes that the processes may use; 0 without a limit.
        busy: Workers that have tasks, by the name of their group where it is known.
        asked: Dask resources that the tasks ask for, in sum.
        pods: Pods of the workers by the name of their group, or by "" if it is not known. None if the
            scheduler does not report it.
        pinned: Those of these pods that have to stay. None if the scheduler does not report it.
        pinned_tasks: Further tasks, which only the workers that have them can run.
        pinned_seconds: Estimated duration of those tasks.
    """

    offers: Resources
    workers: int
    idle: int
    threads: int
    tasks: int = 0
    seconds: float = 0.0
    memory: int = 0
    data: int = 0
    limit: int = 0
    busy: Mapping[str, int] = field(default_factory=dict)
    asked: Resources = field(default_factory=dict)
    pods: Mapping[str, int] | None = None
    pinned: Mapping[str, int] | None = None
    pinned_tasks: int = 0
    pinned_seconds: float = 0.0

    def busy_pods(self, group: Group, of_no_group: int) -> int:
        """Return how many pods of a group may have tasks; workers of an unknown group may be in any."""
        unknown = max(0, self.workers - self.idle - sum(self.busy.values()) - of_no_group)
        return math.ceil((self.busy.get(group.name, 0) + unknown) / group.processes)

    def pods_that_stay(self, group: Group) -> int:
        """Return how many pods of a group may have to stay; those of an unknown group may belong to any."""
        pinned = self.pinned or {}
        return pinned.get(group.name, 0) + pinned.get("", 0)


@dataclass(frozen=True, slots=True)
class WaitingTasks:
    """Tasks without a worker that ask for the same resources, and their estimated duration in sum."""

    asks: Resources
    tasks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """The tasks and workers of a scheduler.

    Attributes:
        target: The seconds of work that each thread should have.
        pools: The connected workers.
        waiting: The tasks without a worker that a new worker could run.
        restricted: How many other tasks wait for certain workers or hosts.
    """

    target: float
    pools: tuple[WorkerPool, ...] = ()
    waiting: tuple[WaitingTasks, ...] = ()
    restricted: int = 0

    @property
    def tasks(self) -> int:
        """The number of tasks that run or could run."""
        return sum(pool.tasks for pool in self.pools) + sum(each.tasks for each in self.waiting)

    @property
    def seconds(self) -> float:
        """The estimated duration of those tasks, in sum."""
        return sum(pool.seconds for pool in self.pools) + sum(each.seconds for each in self.waiting)


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """How fast a group is scaled in one direction.

    Attributes:
        window: Seconds for which a change must have been needed.
        max_step: Largest change at once in pods, None for any.
        max_percent: Largest change at once in percent of the pods, None for any; one pod is always allowed.
    """

    window: float
    max_step: int | None = None
    max_percent: int | None = None

    def max_change(self, replicas: int) -> float:
        """Return by how many pods a group of this size may change at once."""
        by_percent = math.inf if self.max_percent is None else max(1, replicas * self.max_percent // 100)
        return min(math.inf if self.max_step is None else self.max_step, by_percent)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an autoscaler.

    Attributes:
        interval: Seconds between two polls of the scheduler.
        target: Seconds of work that each thread should have, None for what the scheduler is configured with.
        idle: Seconds for which a worker must have been idle before it is removed; None if a worker with tasks
            may be removed, too.
        cooldown_until: No worker is removed before this time, in seconds since 1970.
    """

    interval: float = 5.0
    target: float | None = None
    up: ScalingRules = ScalingRules(0.0)
    down: ScalingRules = ScalingRules(15.0, max_percent=25)
    idle: float | None = None
    cooldown_until: float = 0.0
