"""Observe: what the cache shows of an autoscaler, and a scheduler's answer, as values. No await."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from dask_k8s_autoscaler.model import (
    Bounds,
    Group,
    ScalingRules,
    Settings,
    WaitingTasks,
    Work,
    WorkerPool,
)
from dask_k8s_autoscaler.stuck import stuck_workers
from dask_k8s_autoscaler.template import WorkerShape, worker_shape
from dask_k8s_controller import Demand, Key, Record, World
from dask_k8s_crds import DaskAutoscaler, DaskWorkerGroup, DaskWorkerGroupStatus, InvalidObject, labels, names
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS


class _ParsedAutoscaler(NamedTuple):
    version: int
    model: DaskAutoscaler
    settings: Settings


class _ParsedGroup(NamedTuple):
    generation: int | None
    replicas: int
    shape: WorkerShape


@dataclass(slots=True)
class ParseCache:
    """Parsed objects, groups by uid. Parsing them costs more than the rest of a reconcile."""

    autoscaler: _ParsedAutoscaler | None = None
    groups: dict[str, _ParsedGroup] = field(default_factory=dict)


def cluster_of(body: Mapping[str, Any]) -> str | None:
    """Return the name of the cluster of an autoscaler; the cache indexes autoscalers by it."""
    name: Any = (body.get("spec") or {}).get("cluster")
    return name if isinstance(name, str) else None


class ObservedGroup(NamedTuple):
    """A group, its object, and how many pods it has now."""

    group: Group
    record: Record
    current: int


@dataclass(frozen=True, slots=True)
class Observed:
    """An autoscaler and its cluster.

    Attributes:
        older_autoscaler: Name of an older autoscaler of the same cluster, which scales it instead.
        scaled: The groups that it scales in the order of the spec, the default group first.
        others: Further groups of the cluster.
        missing: Names in `spec.groups` that no group of the cluster has.
    """

    record: Record
    autoscaler: DaskAutoscaler
    settings: Settings
    cluster: Record | None
    older_autoscaler: str | None
    scaled: tuple[ObservedGroup, ...] = ()
    others: tuple[Group, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups of the cluster."""
        return (*(each.group for each in self.scaled), *self.others)


def observe(record: Record, world: World, cache: ParseCache) -> Observed:
    """Read the state of an autoscaler from the cache; raise `InvalidObject` if its spec is invalid."""
    if cache.autoscaler is None or cache.autoscaler.version != record.version:
        model = DaskAutoscaler.parse(record.value)
        cache.autoscaler = _ParsedAutoscaler(record.version, model, _settings(model))
    return _observe(record, cache.autoscaler, world, cache)


def observe_again(observed: Observed, world: World, cache: ParseCache) -> Observed | None:
    """Read the state again after a write, with the same spec; return None if the autoscaler is gone."""
    record = world.get(observed.record.key)
    if record is None or record.uid != observed.record.uid:
        return None
    parsed = _ParsedAutoscaler(record.version, observed.autoscaler, observed.settings)
    return _observe(record, parsed, world, cache)


def _observe(record: Record, parsed: _ParsedAutoscaler, world: World, cache: ParseCache) -> Observed:
    _, autoscaler, settings = parsed
    spec = autoscaler.spec
    cluster, older = _cluster(record, spec.cluster, world), _older_autoscaler(record, world)
    observed = Observed(record, autoscaler, settings, cluster, older)
    if cluster is None or older is not None:
        return observed
    found = {
        each.key.name: each
        for each in world.find(DASK_WORKER_GROUPS, record.key.namespace, spec.cluster)
        if not each.deleting and (each.owner is None or each.is_controlled_by(cluster))
    }
    default = _Entry(spec.fallback_seconds, Bounds(spec.minimum, spec.maximum))
    entries = {names.default_group(spec.cluster): default}
    for each in spec.groups:
        entries[each.name] = _Entry(each.fallback_seconds, Bounds(each.minimum, each.maximum), each.priority)
    other = _Entry(spec.fallback_seconds)
    scaled = [_group(found[name], world, cache, entry) for name, entry in entries.items() if name in found]
    others = [_group(each, world, cache, other) for name, each in found.items() if name not in entries]
    return replace(
        observed,
        scaled=tuple(each for each in scaled if each is not None),
        others=tuple(each.group for each in others if each is not None),
        missing=tuple(each.name for each in spec.groups if each.name not in found),
    )


def _cluster(record: Record, name: str, world: World) -> Record | None:
    """Return the cluster, unless it is being deleted or the autoscaler belongs to an earlier one."""
    cluster, owner = world.get(Key(DASK_CLUSTERS, record.key.namespace, name)), record.owner
    if cluster is None or cluster.deleting:
        return None
    named = (DASK_CLUSTERS.group, DASK_CLUSTERS.kind)
    stale = owner is not None and (owner.group, owner.kind) == named and not record.is_controlled_by(cluster)
    return None if stale else cluster


def _older_autoscaler(record: Record, world: World) -> str | None:
    """Return the name of the autoscaler that scales the cluster instead of this one, if there is one."""

    def age(each: Record) -> tuple[str, str]:
        return each.value["metadata"]["creationTimestamp"], each.key.name

    same_cluster = world.find(DASK_AUTOSCALERS, record.key.namespace, record.indexed or "")
    oldest = min((each for each in same_cluster if not each.deleting), key=age, default=record)
    return oldest.key.name if age(oldest) < age(record) else None


class _Entry(NamedTuple):
    """What an autoscaler specifies for a group."""

    fallback_seconds: float
    bounds: Bounds | None = None
    priority: int = 0


def _group(record: Record, world: World, cache: ParseCache, entry: _Entry) -> ObservedGroup | None:
    """Read a group; return None if its spec is invalid, which its own reconciler reports."""
    parsed, generation = cache.groups.get(record.uid), record.value["metadata"].get("generation")
    if parsed is None or parsed.generation != generation:
        try:
            worker = DaskWorkerGroup.parse(record.value).spec.worker
        except InvalidObject:
            return None
        parsed = cache.groups[record.uid] = _ParsedGroup(generation, worker.replicas, worker_shape(worker))
    threads, processes, offers = parsed.shape
    status = DaskWorkerGroupStatus.of(record.value)
    ready, stuck, lost = parsed.replicas, None, 0
    if status.ready_replicas != parsed.replicas:  # else all workers are there, and need not be counted
        pods = [each.value for each in world.owned(record, PODS) if not each.deleting]
        ready = sum(pod.ready for pod in pods)
        stuck, lost = stuck_workers(parsed.replicas, pods, status, entry.fallback_seconds, world.now())
    group = Group(
        record.key.name,
        parsed.replicas,
        offers,
        entry.bounds,
        entry.priority,
        threads,
        processes,
        ready=ready,
        stuck=stuck,
        lost=lost,
    )
    return ObservedGroup(group, record, status.replicas or 0)


def _settings(autoscaler: DaskAutoscaler) -> Settings:
    spec = autoscaler.spec
    up, down = spec.scale_up, spec.scale_down
    return Settings(
        interval=float(spec.interval_seconds),
        target=spec.target_duration_seconds,
        up=ScalingRules(up.stabilization_seconds, up.max_step, up.max_step_percent),
        down=ScalingRules(down.stabilization_seconds, max_percent=down.max_step_percent),
        idle=down.idle_seconds,
        cooldown_until=_timestamp(autoscaler.metadata.annotations.get(labels.COOLDOWN_UNTIL)),
    )


def _timestamp(text: str | None) -> float:
    """Read seconds since 1970; return 0 for anything else."""
    try:
        time = float(text or 0)
    except ValueError:
        return 0.0
    return 0.0 if math.isnan(time) else time


def work_of(demand: Demand) -> Work:
    """Convert the answer of a scheduler."""
    return Work(
        target=demand.target_duration,
        pools=tuple(
            WorkerPool(
                offers=load.resources,
                workers=load.workers,
                idle=load.idle,
                threads=load.threads,
                tasks=max(0, load.processing - load.pinned_tasks),
                seconds=max(0.0, load.occupancy - load.pinned_seconds),
                memory=load.memory,
                data=load.managed,
                limit=load.memory_limit,
                busy=load.busy,
                asked=load.asked,
                pods=load.pods,
                pinned=load.pinned,
                pinned_tasks=load.pinned_tasks,
                pinned_seconds=load.pinned_seconds,
            )
            for load in demand.loads
        ),
        waiting=tuple(WaitingTasks(each.resources, each.tasks, each.seconds) for each in demand.waiting),
        restricted=demand.restricted,
    )
