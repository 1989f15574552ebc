"""Which group serves which work, and how many pods each needs for it. Pure; nothing here knows of yesterday.

Work goes first to the pods that there are, or will be because they were asked for already; then to where
more may be made. In either case, first to what is not ours to scale, for it is there anyway, then by
ascending priority, and among equals to who offers least that was not asked for: plain tasks wake no GPU.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dask_k8s_autoscaler.values import Group, Pool, Resources, Work
from dask_k8s_autoscaler.wanted import Shape, Shapes, by_memory, by_time, lanes, shape, up


@dataclass(frozen=True, slots=True)
class Need:
    """How many pods a group needs, how many of it may be at work, and whether its data are why."""

    pods: int
    busy: int = 0
    data: bool = False


@dataclass(frozen=True, slots=True)
class Shares:
    """What each group that may be scaled needs, what its pods are like, and what nobody can do.

    ``seen`` are the shapes of groups that have workers, ``full`` the groups that would be larger if they
    might, ``unserved`` what tasks ask for that no group offers which has workers or may have some.
    """

    needs: Mapping[str, Need]
    seen: Shapes
    full: tuple[str, ...] = ()
    unserved: tuple[Resources, ...] = ()


@dataclass(frozen=True, slots=True)
class _Load:
    """Tasks that ask for the same."""

    asks: Resources
    tasks: float
    seconds: float


@dataclass(slots=True)
class _Place:
    """Pods that are alike: those of a group, or, without one, workers that no group accounts for."""

    group: Group | None
    offers: Resources
    shape: Shape
    have: int
    most: float
    at_work: float = 0.0
    """Pods that the work which was put here needs, before rounding."""
    at_least: int = 0
    """Pods for data, or for work that is being done."""

    @property
    def ours(self) -> bool:
        """Whether the number of pods is ours to choose."""
        return self.group is not None and self.group.bounds is not None

    @property
    def pods(self) -> int:
        """Count the pods that what was put here so far needs."""
        return max(self.at_least, up(self.at_work))

    def rank(self, asks: Resources) -> tuple[bool, int, int]:
        """Return the place in the order in which work that asks for this is put somewhere."""
        surplus = sum(name not in asks for name in self.offers)
        return self.ours, self.group.priority if self.group and self.ours else 0, surplus

    def put(self, load: _Load, target: float, limit: float) -> _Load | None:
        """Take as much of a load as so many pods can do; return the rest."""
        wide = lanes(self.shape.threads, self.offers, load.asks)
        pods, free = by_time(load.seconds, load.tasks, target=target, lanes=wide), limit - self.at_work
        if limit < 1 or (free <= 0 and pods > 0):
            return load
        part = 1.0 if pods <= free else free / pods
        self.at_work += part * pods
        self.at_least = max(self.at_least, 1)
        if part == 1.0:
            return None
        return _Load(load.asks, (1 - part) * load.tasks, (1 - part) * load.seconds)


@dataclass(slots=True)
class _Floor:
    """Everything that is being shared out."""

    work: Work
    places: list[_Place]
    full: dict[str, None] = field(default_factory=dict)
    unserved: list[Resources] = field(default_factory=list)
    data: set[str] = field(default_factory=set)

    def serve(self, load: _Load) -> None:
        """Find pods for a load: among those that there are, then among those that there may be."""
        able = [each for each in self.places if lanes(each.shape.threads, each.offers, load.asks)]
        able.sort(key=lambda place: place.rank(load.asks))
        rest: _Load | None = load
        for grow in (False, True):
            for place in able:
                limit = place.most if grow else min(max(place.have, place.pods), place.most)
                rest = rest and place.put(rest, self.work.target, limit)
        if rest is None:
            return
        if any(place.most for place in able):
            self._is_full(able)
        elif load.asks not in self.unserved:
            self.unserved.append(load.asks)

    def keep(self, pool: Pool) -> None:
        """Have pods enough for the data that workers hold: more than there are only while there is work."""
        alike = self.like(pool.offers)
        pods = max((by_memory(pool.data, place.shape.room) for place in alike), default=0)
        for place in alike:
            if place.group is not None and pods > place.pods:
                self.data.add(place.group.name)
            place.at_least = max(place.at_least, min(pods, max(place.have, place.pods)))
            pods -= min(pods, place.pods)
        for place in alike if self.work.tasks else ():
            extra = int(min(pods, place.most - place.pods))
            if place.ours and extra > 0:
                place.at_least = place.pods + extra
                pods -= extra
        if pods and self.work.tasks:
            self._is_full(alike)

    def busy(self, pool: Pool) -> dict[str, int]:
        """Return how many pods of each group may be at work, and let it have no fewer.

        Workers that are at work somewhere, nobody knows in which of several groups, may be those of any.
        """
        alike = self.like(pool.offers)
        strangers = sum(place.have for place in alike if place.group is None)
        unknown = pool.workers - pool.idle - sum(pool.busy.values()) - strangers
        busy: dict[str, int] = {}
        for place in alike:
            if place.group is not None and place.ours:
                workers = pool.busy.get(place.group.name, 0) + max(0, unknown)
                pods = min(math.ceil(workers / place.group.processes), place.have)
                busy[place.group.name] = pods
                place.at_least = max(place.at_least, pods)
        return busy

    def like(self, offers: Resources) -> list[_Place]:
        """Return the places that offer just this, in the order in which they are filled."""
        return sorted(
            (each for each in self.places if each.offers == offers), key=lambda each: each.rank(offers)
        )

    def _is_full(self, places: Iterable[_Place]) -> None:
        self.full.update({place.group.name: None for place in places if place.group and place.ours})


def share(groups: Sequence[Group], work: Work, known: Shapes) -> Shares:
    """Share the work out among the groups; ``known`` are shapes that their pods had when there were some."""
    places = [_place(group, work, known) for group in groups]
    floor = _Floor(work, [*_strangers(groups, work), *places])
    # Who asks for most is served first: others have more to choose from.
    for load in sorted(_loads(work), key=lambda load: -len(load.asks)):
        floor.serve(load)
    for pool in work.pools:
        floor.keep(pool)
    busy: dict[str, int] = {}
    for pool in work.pools:
        busy |= floor.busy(pool)
    ours = {place.group.name: place for place in places if place.group is not None and place.ours}
    connected = [pool.offers for pool in work.pools if pool.workers]
    return Shares(
        needs={name: Need(at.pods, busy.get(name, 0), name in floor.data) for name, at in ours.items()},
        seen={name: at.shape for name, at in ours.items() if at.offers in connected},
        full=tuple(floor.full),
        unserved=tuple(floor.unserved),
    )


def _loads(work: Work) -> list[_Load]:
    """Sort the tasks by what they ask for."""
    loads = [load for pool in work.pools for load in _given(pool)]
    loads += [_Load(each.asks, each.tasks, each.seconds) for each in work.waiting]
    return [load for load in loads if load.tasks > 0]


def _given(pool: Pool) -> Iterable[_Load]:
    """Part the tasks that workers were given into those that ask for something and plain ones.

    Only what they ask for in sum is known: each is taken to ask for one, or more where they are too few.
    """
    if not pool.tasks:
        return
    asked = {name: amount for name, amount in pool.asked.items() if amount > 0 and name in pool.offers}
    number = min(
        pool.tasks, max((amount / min(1, pool.offers[name]) for name, amount in asked.items()), default=0)
    )
    part = number / pool.tasks
    if asked:
        asks = {name: min(amount / number, pool.offers[name]) for name, amount in asked.items()}
        yield _Load(asks, number, part * pool.seconds)
    yield _Load({}, pool.tasks - number, (1 - part) * pool.seconds)


def _place(group: Group, work: Work, known: Shapes) -> _Place:
    pool = next((pool for pool in work.pools if pool.offers == group.offers), None)
    of = shape(pool, known.get(group.name), threads=group.threads, processes=group.processes)
    most: float = group.replicas
    if group.bounds is not None:
        most = math.inf if group.bounds.maximum is None else group.bounds.maximum
    return _Place(group, group.offers, of, group.replicas, most)


def _strangers(groups: Sequence[Group], work: Work) -> Iterable[_Place]:
    """Yield the workers that are connected beyond what their groups should have: capacity, too."""
    for pool in work.pools:
        alike = [group for group in groups if group.offers == pool.offers]
        processes = max((group.processes for group in alike), default=1)
        surplus = pool.workers // processes - sum(group.replicas for group in alike)
        if surplus > 0:
            yield _Place(
                None, pool.offers, shape(pool, None, threads=0, processes=processes), surplus, surplus
            )
