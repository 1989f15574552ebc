"""Decide on new sizes of groups from their work, the settings and the past. Pure; the time is passed in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dask_k8s_autoscaler import messages
from dask_k8s_autoscaler.allocation import Allocation, allocate
from dask_k8s_autoscaler.history import GroupHistory, History
from dask_k8s_autoscaler.model import Group, Settings, Stuck, Work
from dask_k8s_controller import Finding

MAX_MISSED_POLLS = 3.0
MAX_GAP_SECONDS = 30.0
"""History is dropped after this many intervals, and at least this many seconds, without an answer."""


class Change(NamedTuple):
    """A new size for a group, with a reason and a message for conditions."""

    group: str
    before: int
    after: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The changes, what limits them, and the history for the next decision without these changes."""

    changes: tuple[Change, ...]
    limit: Finding | None
    history: History


def within_bounds(groups: Iterable[Group]) -> tuple[Change, ...]:
    """Bring every group into its bounds, at once: without a scheduler, a window or steps."""
    return tuple(
        Change(group.name, group.replicas, size, "BroughtIntoBounds", messages.into_bounds(group, size))
        for group in groups
        if group.bounds is not None and (size := group.bounds.clamp(group.replicas)) != group.replicas
    )


def decide(groups: Sequence[Group], work: Work, settings: Settings, history: History, now: float) -> Decision:
    """Decide how many workers each group should have; `now` is in seconds since 1970.

    A group grows if more workers were needed for the whole window of scaleUp. It shrinks if fewer were enough
    for the whole window of scaleDown and, with `idle`, if fewer were busy in the last `idle` seconds; after a
    step down the next one comes a window later.
    """
    work = work if settings.target is None else replace(work, target=settings.target)
    allocation = allocate(groups, work, history.capacities)
    sizes = {group.name: group.replicas for group in groups if group.bounds is not None}
    max_gap = max(MAX_MISSED_POLLS * settings.interval, MAX_GAP_SECONDS)
    keep = max(settings.up.window, settings.down.window, settings.idle or 0)
    history = history.at(now, sizes, max_gap=max_gap)
    history = history.append(now, allocation.needs, allocation.capacities, keep)
    changes = []
    for group in groups:
        if group.bounds is not None:
            past = history.groups[group.name]
            enough = _enough(past, settings, now)
            needed = past.min_pods(now, settings.up.window)
            size = group.bounds.clamp(_next_size(group.replicas, needed, enough, settings))
            if size > group.replicas:
                message = messages.scaled_up(group, size, allocation.needs[group.name], work)
                if allocation.needs[group.name].for_stuck and (stuck := _stuck(groups)):
                    message = f"{message}; {messages.not_ready(stuck, now)}"
                changes.append(Change(group.name, group.replicas, size, "ScaledUp", message))
            elif size < group.replicas:
                message = messages.scaled_down(group, size, enough, settings)
                changes.append(Change(group.name, group.replicas, size, "ScaledDown", message))
    return Decision(tuple(changes), _limit(groups, work, allocation), history)


def _enough(past: GroupHistory, settings: Settings, now: float) -> int:
    """Return how few pods are enough, or the size of the group if no pod may be removed now."""
    if now < settings.cooldown_until or now - past.scaled_down < settings.down.window:
        return past.size
    busy = 0 if settings.idle is None else past.max_busy(now, settings.idle)
    return max(past.max_pods(now, settings.down.window), busy)


def _next_size(size: int, needed: int, enough: int, settings: Settings) -> int:
    """Return the size after one step up to `needed` pods, or down to `enough` pods."""
    if needed > size:
        return int(min(needed, size + settings.up.max_change(size)))
    return int(max(min(size, enough), size - settings.down.max_change(size)))


def _stuck(groups: Iterable[Group]) -> list[tuple[Group, Stuck]]:
    return [(group, group.stuck) for group in groups if group.stuck]


def _limit(groups: Sequence[Group], work: Work, allocation: Allocation) -> Finding | None:
    """Return what keeps a group from having as many workers as the work needs, or as few."""
    if allocation.unsatisfiable:
        return Finding("NoGroupOffers", messages.no_group_offers(allocation.unsatisfiable[0]))
    names = set(allocation.full)
    full = [group for group in groups if group.name in names]
    stuck = _stuck(groups)
    takers = [
        group.name
        for group in groups
        if group.bounds and not group.stuck and allocation.needs[group.name].for_stuck
    ]
    if stuck and (takers or allocation.unserved):
        message = messages.work_of_stuck(stuck, takers, full, unserved=allocation.unserved)
        return Finding("WorkersNotStarting", message)
    if full:
        return Finding("AtMaximum", messages.at_maximum(full))
    if work.restricted:
        return Finding("TasksRestricted", messages.RESTRICTED)
    small = [
        group
        for group in groups
        if group.bounds and allocation.needs[group.name].pods < group.bounds.minimum == group.replicas
    ]
    return Finding("AtMinimum", messages.at_minimum(small)) if small else None
