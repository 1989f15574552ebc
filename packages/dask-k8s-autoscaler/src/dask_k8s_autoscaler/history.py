"""How many pods were needed when, for stabilization windows. A value; the time is passed in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from math import inf
from typing import NamedTuple, Self

from dask_k8s_autoscaler.allocation import Need
from dask_k8s_autoscaler.sizing import Capacities


class Sample(NamedTuple):
    """From `time` until the next sample a group needed `pods` pods, of which `busy` were busy."""

    time: float
    pods: int
    busy: int


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """The past of one group; `size` is its last known size, `scaled_down` when it last became smaller."""

    samples: tuple[Sample, ...]
    size: int
    scaled_down: float = -inf

    @classmethod
    def start(cls, now: float, size: int) -> Self:
        """Start with all pods needed until now, so that none is removed before a whole window has passed."""
        return cls((Sample(now, size, size),), size)

    def resized_by_others(self, now: float, size: int) -> Self:
        """Record a size that a user has set: all of these pods count as needed now."""
        if size == self.size:
            return self
        return replace(self, samples=(*self.samples, Sample(now, size, size)), size=size)

    def resized(self, now: float, size: int) -> Self:
        """Record a size that the autoscaler has set."""
        return replace(self, size=size, scaled_down=now if size < self.size else self.scaled_down)

    def append(self, now: float, need: Need, keep: float) -> Self:
        """Append what is needed now, and drop samples that are older than `keep` seconds."""
        samples, last = self.samples, self.samples[-1]
        if (need.pods, need.busy) != (last.pods, last.busy):
            samples = (*samples, Sample(now, need.pods, need.busy))
        return replace(self, samples=tuple(_since(samples, now - keep)))

    def min_pods(self, now: float, window: float) -> int:
        """Return the fewest pods that were needed within the last `window` seconds."""
        return min(sample.pods for sample in _since(self.samples, now - window))

    def max_pods(self, now: float, window: float) -> int:
        """Return the most pods that were needed within the last `window` seconds."""
        return max(sample.pods for sample in _since(self.samples, now - window))

    def max_busy(self, now: float, window: float) -> int:
        """Return the most pods that were busy within the last `window` seconds."""
        return max(sample.busy for sample in _since(self.samples, now - window))


def _since(samples: Iterable[Sample], start: float) -> Iterator[Sample]:
    """Yield the samples that were valid after `start`; the last one always was."""
    ends = chain(samples, (Sample(inf, 0, 0),))
    return (sample for sample, following in pairwise(ends) if following.time > start)


@dataclass(frozen=True, slots=True)
class History:
    """The past of all groups of an autoscaler; `updated` is when the scheduler last answered."""

    groups: Mapping[str, GroupHistory] = field(default_factory=dict)
    capacities: Capacities = field(default_factory=dict)
    updated: float = -inf

    def at(self, now: float, sizes: Mapping[str, int], *, max_gap: float) -> Self:
        """Return the past of the groups in `sizes` as of now.

        The past is dropped if the scheduler has not answered for more than `max_gap` seconds, since nobody
        knows what was needed meanwhile, or if the clock was set back.
        """
        known = self.groups if 0 <= now - self.updated <= max_gap else {}
        groups = {
            name: known.get(name, GroupHistory.start(now, size)).resized_by_others(now, size)
            for name, size in sizes.items()
        }
        capacities = {name: self.capacities[name] for name in sizes if name in self.capacities}
        return type(self)(groups, capacities, updated=now)

    def append(self, now: float, needs: Mapping[str, Need], capacities: Capacities, keep: float) -> Self:
        """Append what all groups need now, and remember capacities for when they have no pods."""
        groups = {name: group.append(now, needs[name], keep) for name, group in self.groups.items()}
        return replace(self, groups=groups, capacities={**self.capacities, **capacities})

    def resized(self, now: float, sizes: Mapping[str, int]) -> Self:
        """Record sizes that the autoscaler has set."""
        groups = self.groups.items()
        resized = {name: group.resized(now, sizes.get(name, group.size)) for name, group in groups}
        return replace(self, groups=resized)
