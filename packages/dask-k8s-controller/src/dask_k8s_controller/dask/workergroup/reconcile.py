"""One turn of a DaskWorkerGroup: observe, desire, plan, apply, report."""

from functools import partial
from itertools import islice
from typing import NamedTuple

from dask_k8s_controller.dask.findings import conditions_of, invalid_status
from dask_k8s_controller.dask.pods import keeps_legacy_commands, legacy_message, legacy_words
from dask_k8s_controller.dask.workergroup import desired, inplace, rollout, scale, status
from dask_k8s_controller.dask.workergroup.retire import (
    Retirement,
    drain_terminating,
    lingers,
    replace,
    retire,
    unregistered,
)
from dask_k8s_controller.dask.workergroup.scale import SLICE, Decision, Observed
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_controller.runtime.plan import Create, Delete, Event, Plan
from dask_k8s_controller.runtime.results import After, Outcome
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, InvalidObject, labels
from dask_k8s_crds.conditions import merge
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS
from dask_k8s_crds.updates import UpdateStrategy


class _Cluster(NamedTuple):
    record: Record
    value: DaskCluster


class _Wanted(NamedTuple):
    """What the workers should be like, how many, and how they get there."""

    example: Body
    digest: str
    replicas: int
    strategy: UpdateStrategy


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the workers of a group in line with it."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        group = DaskWorkerGroup.parse(record.value)
    except InvalidObject as error:
        return await world.report(
            key, invalid_status(record, error, world.now(), Ready=False, Progressing=False, Degraded=True)
        )
    cluster = _cluster(record, group, world)
    outcome, leaving, look_again = Outcome(), Retirement(), None
    if cluster is None:
        observed = _observe(record, world)
        found = status.waiting(group)
    else:
        wanted = _wanted(group, cluster.value, world.cluster_domain)
        observed = _observe(record, world, wanted.digest)
        decision = scale.decide(observed, wanted.replicas, world.now())
        leaving = await _leave(observed, wanted, decision, cluster, world)
        doubted = world.doubted(record.uid, PODS)
        new = desired.worker_names(group, decision.make, observed.names, doubted)
        pods = desired.workers(
            group, cluster.value, new, domain=world.cluster_domain, failures=decision.failures
        )
        create = tuple(Create(PODS, pod) for pod in pods)
        delete = (
            *(Delete(pod.key, pod.uid) for pod in decision.finished),
            *(Delete(pod.key, pod.uid, _judged(pod)) for pod in leaving.pods),
        )
        tell = _legacy(record, group) if create and not observed.names else ()
        patch = inplace.patches(observed.living, wanted.example, leaving, world.now())
        plan = Plan(create=create, patch=tuple(islice(patch, SLICE)), delete=delete, events=tell)
        outcome = await world.apply(key, record.uid, plan)
        observed = _observe(record, world, wanted.digest)
        if cluster.value.spec.suspend:
            found = status.suspended(group, observed, outcome)
        else:
            found = status.running(group, observed, outcome, leaving, wanted.strategy)
        times = (decision.look_again, leaving.look_again, await _drain_terminating(observed, cluster, world))
        look_again = After.soonest(*map(After.of, times))
        if len(plan.patch) == SLICE:
            look_again = After(0.0)
    found = merge(conditions_of(record.value), found, now=world.now())
    later = await world.report(key, status.report(group, observed, leaving, found).to_dict())
    outcome.raise_errors()
    return After.soonest(look_again, later)


def _observe(record: Record, world: World, digest: str = "") -> Observed:
    return Observed.of(world.owned(record.uid, PODS), world.expected(record.uid, PODS), digest)


def _wanted(group: DaskWorkerGroup, cluster: DaskCluster, domain: str) -> _Wanted:
    example = desired.example(group, cluster, domain=domain)
    return _Wanted(
        example=example,
        digest=example["metadata"]["annotations"][labels.TEMPLATE_DIGEST],
        replicas=0 if cluster.spec.suspend else group.spec.worker.replicas,
        strategy=group.spec.update_strategy or cluster.spec.update_strategy,
    )


def _judged(pod: Record) -> int | None:
    """Return the version of a pod that goes without a word since it does not run: it may run by now."""
    return None if pod.value.runs else pod.version


async def _leave(
    observed: Observed, wanted: _Wanted, decision: Decision, cluster: _Cluster, world: World
) -> Retirement:
    """Have leave who is too many, and else who is outdated."""
    if cluster.value.spec.suspend:
        # The scheduler goes, too: there is nobody to hand over to.
        return Retirement(pods=observed.living)
    if decision.surplus:
        agent = world.agent(cluster.record)
        return await retire(observed.living, decision.surplus, agent, wanted.digest)
    plan = partial(rollout.plan, observed.living, wanted.replicas, wanted.digest, wanted.strategy)
    step = plan()
    if not step.drains:
        return await replace(step, None, wanted.strategy, world.now())
    agent = world.agent(cluster.record)
    new = await unregistered(observed.living, agent, wanted.digest)
    return await replace(plan(unregistered=new), agent, wanted.strategy, world.now(), new)


async def _drain_terminating(observed: Observed, cluster: _Cluster, world: World) -> float | None:
    """Take care of those on their way out; with the whole cluster suspended there is nothing to save."""
    if cluster.value.spec.suspend or not any(map(lingers, observed.going)):
        return None
    return await drain_terminating(observed.going, world.agent(cluster.record))


def _legacy(record: Record, group: DaskWorkerGroup) -> tuple[Event, ...]:
    words = legacy_words(group.spec.worker.spec)
    if not words or keeps_legacy_commands(group.metadata.annotations):
        return ()
    return (Event(record.value, "LegacyCommand", legacy_message(words)),)


def _cluster(record: Record, group: DaskWorkerGroup, world: World) -> _Cluster | None:
    """Return the cluster that the group belongs to, unless it is going or not the one that made the group."""
    found = world.get(Key(DASK_CLUSTERS, record.key.namespace, group.spec.cluster))
    if found is None or found.deleting or (record.owner is not None and record.owner.uid != found.uid):
        return None
    try:
        return _Cluster(found, DaskCluster.parse(found.value))
    except InvalidObject:
        return None
