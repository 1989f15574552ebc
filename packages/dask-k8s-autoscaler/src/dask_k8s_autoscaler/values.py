"""What a decision is made of, as values: groups, work, rules. No I/O, no clock, no decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Resources = Mapping[str, float]
"""Dask resources, offered by a worker or asked for by a task."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many workers a group may have; ``maximum`` None: no upper bound."""

    minimum: int = 0
    maximum: int | None = None

    def clamp(self, replicas: int) -> int:
        """Return the nearest number within the bounds."""
        most = replicas if self.maximum is None else min(replicas, self.maximum)
        return max(self.minimum, most)


@dataclass(frozen=True, slots=True)
class Group:
    """A worker group.

    ``replicas`` is what was asked for, not what is ready: a worker that is still to come is counted, and so
    is never asked for a second time. ``bounds`` None: a group that is not ours to scale, and capacity all the
    same. ``priority``: the lowest first. ``threads`` of a pod and its ``processes``, each a Dask worker, are
    what the template says; 0 threads: it does not.
    """

    name: str
    replicas: int
    offers: Resources = field(default_factory=dict)
    bounds: Bounds | None = None
    priority: int = 0
    threads: int = 0
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """The connected workers that offer the same resources, and the work that they were given.

    ``seconds`` is the estimated duration of their ``tasks``, one after the other. ``memory`` is bytes that
    the processes use, ``data`` is the part of it that results of tasks take, ``limit`` is what they may
    use, 0 where there is no limit. ``idle`` of the ``workers`` have nothing to do; ``busy`` are those of the
    others of which it is known to what group they belong. ``asked`` is what the tasks ask for, in sum.
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tasks that no worker was given yet, by what they ask for, and their estimated seconds in sum."""

    asks: Resources
    tasks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a scheduler has to do, and with what; ``target`` is the seconds of work to keep per thread."""

    target: float
    pools: tuple[Pool, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    @property
    def tasks(self) -> int:
        """Count the tasks that could run or do."""
        return sum(pool.tasks for pool in self.pools) + sum(each.tasks for each in self.waiting)

    @property
    def seconds(self) -> float:
        """Sum up the estimated durations of those tasks."""
        return sum(pool.seconds for pool in self.pools) + sum(each.seconds for each in self.waiting)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: seconds for which a change must have been wanted, and how many pods it may be at once."""

    window: float
    step: int | None = None
    percent: int | None = None

    def most(self, replicas: int) -> int | None:
        """Return how many pods may come or go at once; at least one; None: any number."""
        by_percent = None if self.percent is None else max(1, replicas * self.percent // 100)
        return min((each for each in (self.step, by_percent) if each is not None), default=None)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user asks of an autoscaler.

    ``interval`` is the seconds between two looks at the scheduler, ``idle`` those for which a worker must
    have had nothing to do before it goes, ``cooldown`` the time, in seconds since 1970, before which
    none goes.
    """

    interval: float = 5.0
    target: float | None = None
    up: Pace = Pace(0.0)
    down: Pace = Pace(15.0, percent=25)
    idle: float = 0.0
    cooldown: float = 0.0
