"""Observed state as values: what the cache shows of an autoscaler, and what a scheduler answers. No await."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dask_k8s_autoscaler import template
from dask_k8s_autoscaler.template import Said
from dask_k8s_autoscaler.values import Bounds, Group, Pace, Pool, Rules, Waiting, Work
from dask_k8s_controller import Demand, Key, Load, Record, World
from dask_k8s_crds import DaskAutoscaler, DaskWorkerGroup, InvalidObject, labels, names, resources
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS


class _Group(NamedTuple):
    """What the spec of a group says, in this generation of it."""

    generation: int | None
    replicas: int
    said: Said


class _Autoscaler(NamedTuple):
    """What an autoscaler says, in this version of it."""

    version: int
    model: DaskAutoscaler
    rules: Rules


@dataclass(slots=True)
class Known:
    """What was read of objects and holds while they stay the same: to read costs more than all the rest."""

    autoscaler: _Autoscaler | None = None
    groups: dict[str, _Group] = field(default_factory=dict)
    """By uid."""


def cluster_of(body: Mapping[str, Any]) -> str | None:
    """Return the name of the cluster that an autoscaler is for."""
    name: Any = (body.get("spec") or {}).get("cluster")
    return name if isinstance(name, str) else None


class Counted(NamedTuple):
    """A group that is ours to scale: the record, and the pods that it has now."""

    group: Group
    record: Record
    current: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What an autoscaler has to do with; ``elder`` is another one of the same cluster that acts."""

    record: Record
    autoscaler: DaskAutoscaler
    rules: Rules
    cluster: Record | None
    elder: str | None
    ours: tuple[Counted, ...] = ()
    others: tuple[Group, ...] = ()
    missing: tuple[str, ...] = ()
    """Names in ``spec.groups`` that no group of the cluster has."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups of the cluster, ours in the order of the spec, the default group first."""
        return (*(counted.group for counted in self.ours), *self.others)


def observe(record: Record, world: World, known: Known) -> Observed:
    """Look at the cache; raise `InvalidObject` where the autoscaler breaks a rule of its kind."""
    if known.autoscaler is None or known.autoscaler.version != record.version:
        model = DaskAutoscaler.parse(record.value)
        known.autoscaler = _Autoscaler(record.version, model, _rules(model))
    return _look(record, known.autoscaler, world, known)


def again(observed: Observed, world: World, known: Known) -> Observed | None:
    """Look once more within a turn, at the same spec; None if the autoscaler is gone."""
    record = world.get(observed.record.key)
    if record is None or record.uid != observed.record.uid:
        return None
    return _look(record, _Autoscaler(record.version, observed.autoscaler, observed.rules), world, known)


def _look(record: Record, asks: _Autoscaler, world: World, known: Known) -> Observed:
    autoscaler, rules = asks.model, asks.rules
    spec, namespace = autoscaler.spec, record.key.namespace
    cluster = _cluster(record, spec.cluster, world)
    elder = _elder(record, world)
    if cluster is None or elder is not None:
        return Observed(record, autoscaler, rules, cluster, elder)
    found = {
        each.key.name: each
        for each in world.find(DASK_WORKER_GROUPS, namespace, spec.cluster)
        if not each.deleting and (each.owner is None or each.owner.uid == cluster.uid)
    }
    wanted = {names.default_group(spec.cluster): (Bounds(spec.minimum, spec.maximum), 0)}
    wanted |= {each.name: (Bounds(each.minimum, each.maximum), each.priority) for each in spec.groups}
    ours = [_group(found[name], known, *of) for name, of in wanted.items() if name in found]
    others = [_group(each, known) for name, each in found.items() if name not in wanted]
    return Observed(
        record,
        autoscaler,
        rules,
        cluster,
        elder,
        ours=tuple(each for each in ours if each is not None),
        others=tuple(each.group for each in others if each is not None),
        missing=tuple(each.name for each in spec.groups if each.name not in found),
    )


def _cluster(record: Record, name: str, world: World) -> Record | None:
    """Return the cluster, unless it is going, or the autoscaler belongs to an earlier one of its name."""
    found = world.get(Key(DASK_CLUSTERS, record.key.namespace, name))
    owner = record.owner
    if found is None or found.deleting:
        return None
    stale = owner is not None and owner.kind == resources.DASK_CLUSTERS.kind and owner.uid != found.uid
    return None if stale else found


def _elder(record: Record, world: World) -> str | None:
    """Return the name of the autoscaler that acts in the place of this one, if another does."""

    def age(each: Record) -> tuple[str, str]:
        return each.value["metadata"].get("creationTimestamp") or "", each.key.name

    rivals = world.find(DASK_AUTOSCALERS, record.key.namespace, record.indexed or "")
    oldest = min((each for each in rivals if not each.deleting), key=age, default=record)
    return oldest.key.name if age(oldest) < age(record) else None


def _group(record: Record, known: Known, bounds: Bounds | None = None, priority: int = 0) -> Counted | None:
    """Read a group; None where it breaks a rule of its kind, which its own reconcile says."""
    body = record.value
    read, generation = known.groups.get(record.uid), body["metadata"].get("generation")
    if read is None or read.generation != generation:
        try:
            worker = DaskWorkerGroup.parse(body).spec.worker
        except InvalidObject:
            return None
        read = known.groups[record.uid] = _Group(generation, worker.replicas, template.read(worker))
    threads, processes, offers = read.said
    group = Group(record.key.name, read.replicas, offers, bounds, priority, threads, processes)
    return Counted(group, record, (body.get("status") or {}).get("replicas") or 0)


def _rules(autoscaler: DaskAutoscaler) -> Rules:
    """Read what the user asks for."""
    spec = autoscaler.spec
    up, down = spec.scale_up, spec.scale_down
    return Rules(
        interval=float(spec.interval_seconds),
        target=spec.target_duration_seconds,
        up=Pace(up.stabilization_seconds, up.max_step, up.max_step_percent),
        down=Pace(down.stabilization_seconds, percent=down.max_step_percent),
        idle=down.idle_seconds or 0,
        cooldown=_time(autoscaler.metadata.annotations.get(labels.COOLDOWN_UNTIL)),
    )


def _time(text: str | None) -> float:
    """Read seconds since 1970; what is no number is no time."""
    try:
        time = float(text or 0)
    except ValueError:
        return 0.0
    return 0.0 if math.isnan(time) else time


def work(demand: Demand) -> Work:
    """Read what a scheduler answered."""
    return Work(
        target=demand.target_duration,
        pools=tuple(_pool(load) for load in demand.loads),
        waiting=tuple(Waiting(each.resources, each.tasks, each.seconds) for each in demand.waiting),
    )


def _pool(load: Load) -> Pool:
    return Pool(
        offers=load.resources,
        workers=load.workers,
        idle=load.idle,
        threads=load.threads,
        tasks=load.processing,
        seconds=load.occupancy,
        memory=load.memory,
        data=load.managed,
        limit=load.memory_limit,
        busy=load.busy,
        asked=load.asked,
    )
