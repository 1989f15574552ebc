"""What was needed when, for the windows in which a change must have been wanted. A value; no clock."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from math import inf
from typing import NamedTuple, Self

from dask_k8s_autoscaler.share import Need
from dask_k8s_autoscaler.wanted import Shape, Shapes


class Point(NamedTuple):
    """From this time on, in seconds since 1970, a group needed so many pods, and so many were at work."""

    time: float
    pods: int
    busy: int


@dataclass(frozen=True, slots=True)
class Track:
    """One group's past.

    ``size`` is what the group was left at, ``lowered`` when it was last made smaller. What a point says holds
    until the next.
    """

    points: tuple[Point, ...]
    size: int
    lowered: float = -inf

    @classmethod
    def of(cls, now: float, size: int) -> Self:
        """Begin: as if all pods had been needed until now, so that none goes before a whole window."""
        return cls((Point(now, size, size),), size)

    def resized(self, now: float, size: int) -> Self:
        """Take note of a size that others gave the group: it counts as what is needed now."""
        if size == self.size:
            return self
        return replace(self, points=(*self.points, Point(now, size, size)), size=size)

    def add(self, now: float, need: Need, keep: float) -> Self:
        """Append what is needed now, and drop what no window of ``keep`` seconds reaches any more."""
        last = self.points[-1]
        points = self.points
        if (need.pods, need.busy) != (last.pods, last.busy):
            points = (*points, Point(now, need.pods, need.busy))
        return replace(self, points=tuple(_since(points, now - keep)))

    def lowest(self, now: float, window: float) -> int:
        """Return the fewest pods that were needed within the last seconds; 0 seconds: now."""
        return min(point.pods for point in _since(self.points, now - window))

    def highest(self, now: float, window: float) -> int:
        """Return the most pods that were needed within the last seconds."""
        return max(point.pods for point in _since(self.points, now - window))

    def busiest(self, now: float, window: float) -> int:
        """Return the most pods that were at work within the last seconds."""
        return max(point.busy for point in _since(self.points, now - window))


def _since(points: Iterable[Point], start: float) -> Iterator[Point]:
    """Yield the points that hold later than ``start``; the last one always."""
    ends = chain(points, (Point(inf, 0, 0),))
    return (point for point, following in pairwise(ends) if following.time > start)


@dataclass(frozen=True, slots=True)
class History:
    """The past of all groups of an autoscaler; ``looked`` is when the scheduler last said something."""

    tracks: Mapping[str, Track] = field(default_factory=dict)
    shapes: Shapes = field(default_factory=dict)
    looked: float = -inf

    def at(self, now: float, sizes: Mapping[str, int], *, patience: float) -> "History":
        """Return the past of these groups as of now.

        It is no past if the last look was more than ``patience`` seconds ago, or lies ahead because the clock
        was set: nobody knows what was needed in between.
        """
        known = self.tracks if 0 <= now - self.looked <= patience else {}
        tracks = {
            name: known[name].resized(now, size) if name in known else Track.of(now, size)
            for name, size in sizes.items()
        }
        return History(tracks, {name: self.shapes[name] for name in sizes if name in self.shapes}, now)

    def learned(self, shapes: Mapping[str, Shape]) -> Self:
        """Remember what pods are like, for when there are none."""
        return replace(self, shapes={**self.shapes, **shapes})

    def settled(self, now: float, sizes: Mapping[str, int]) -> "History":
        """Take note of the sizes that groups were given by ourselves."""

        def settle(name: str, track: Track) -> Track:
            size = sizes.get(name, track.size)
            return replace(track, size=size, lowered=now if size < track.size else track.lowered)

        return self._each(settle)

    def _each(self, change: Callable[[str, Track], Track]) -> "History":
        return replace(self, tracks={name: change(name, track) for name, track in self.tracks.items()})
