"""Decide: groups, work, rules, the past and the time in; new sizes and why out. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dask_k8s_autoscaler import words
from dask_k8s_autoscaler.history import History, Track
from dask_k8s_autoscaler.share import Shares, share
from dask_k8s_autoscaler.values import Group, Pace, Rules, Work

MISSED = 3.0
PATIENCE = 30.0
"""After so many intervals, and so many seconds, without an answer the past says nothing of the present."""


class Change(NamedTuple):
    """A new size for a group; ``reason`` is a word for conditions, ``message`` a sentence."""

    group: str
    before: int
    after: int
    reason: str
    message: str


class Limit(NamedTuple):
    """What keeps a group from having as many workers as the work needs, or as few: a reason, a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The changes, what limits them, and the past as the next decision sees it, before any change is made."""

    changes: tuple[Change, ...]
    limit: Limit | None
    history: History


def within_bounds(groups: Iterable[Group]) -> tuple[Change, ...]:
    """Bring every group into its bounds; that needs no scheduler, no window and no steps."""
    changes = []
    for group in groups:
        if group.bounds is not None and (size := group.bounds.clamp(group.replicas)) != group.replicas:
            message = words.bound(group, size)
            changes.append(Change(group.name, group.replicas, size, "BroughtIntoBounds", message))
    return tuple(changes)


def decide(groups: Sequence[Group], work: Work, rules: Rules, history: History, now: float) -> Decision:
    """Decide how many workers each group should have; ``now`` is seconds since 1970.

    More, as soon as the window of scaleUp agrees. Fewer, if within the window of scaleDown no more were ever
    needed, and within ``idle`` seconds no more at work; the next step down comes a window later.
    """
    work = work if rules.target is None else replace(work, target=rules.target)
    shares = share(groups, work, history.shapes)
    sizes = {group.name: group.replicas for group in groups if group.bounds is not None}
    history = history.at(now, sizes, patience=max(MISSED * rules.interval, PATIENCE)).learned(shares.seen)
    keep = max(rules.up.window, rules.down.window, rules.idle)
    tracks = {name: track.add(now, shares.needs[name], keep) for name, track in history.tracks.items()}
    changes = []
    for group in groups:
        if group.bounds is not None:
            track = tracks[group.name]
            more, fewer = track.lowest(now, rules.up.window), _fewer(track, rules, now)
            size = group.bounds.clamp(_next(group.replicas, more, fewer, rules))
            if size > group.replicas:
                message = words.more(group, size, shares.needs[group.name], work)
                changes.append(Change(group.name, group.replicas, size, "ScaledUp", message))
            elif size < group.replicas:
                message = words.fewer(group, size, fewer, rules)
                changes.append(Change(group.name, group.replicas, size, "ScaledDown", message))
    return Decision(tuple(changes), _limit(groups, shares), replace(history, tracks=tracks))


def _fewer(track: Track, rules: Rules, now: float) -> int:
    """Return how few pods are enough, if any may go now."""
    if now < rules.cooldown or now - track.lowered < rules.down.window:
        return track.size
    return max(track.highest(now, rules.down.window), track.busiest(now, rules.idle))


def _next(size: int, more: int, fewer: int, rules: Rules) -> int:
    """Return the next size on the way to ``more`` or ``fewer``."""
    if more > size:
        return min(more, size + _step(rules.up, size, more))
    return max(min(size, fewer), size - _step(rules.down, size, size))


def _step(pace: Pace, size: int, otherwise: int) -> int:
    step = pace.most(size)
    return otherwise if step is None else step


def _limit(groups: Iterable[Group], shares: Shares) -> Limit | None:
    if shares.unserved:
        return Limit("NoGroupOffers", words.unserved(shares.unserved[0]))
    full = [group for group in groups if group.name in shares.full]
    if full:
        return Limit("AtMaximum", words.full(full))
    small = [
        group
        for group in groups
        if group.bounds is not None and shares.needs[group.name].pods < group.bounds.minimum == group.replicas
    ]
    return Limit("AtMinimum", words.small(small)) if small else None
