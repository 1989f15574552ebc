"""The reconcile of a DaskWorkerGroup: observe, ask the agent, plan, apply, report the status."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

from dask_k8s_controller.dask.findings import invalid_status, without_effect
from dask_k8s_controller.dask.scheduler.agent_client import Successors
from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.dask.workergroup import endings, status, surge
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.observe import Cluster, Observed, run_on
from dask_k8s_controller.dask.workergroup.plan import next_step, plan
from dask_k8s_controller.dask.workergroup.retirement import (
    POLL_SECONDS,
    RETRY_SECONDS,
    Drain,
    Retirement,
    Step,
    retirement,
)
from dask_k8s_controller.dask.workergroup.successors import expected
from dask_k8s_controller.dask.world import Agent, World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.results import After
from dask_k8s_crds import DaskWorkerGroup, DaskWorkerGroupStatus, InvalidObject
from dask_k8s_crds.conditions import dated


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the workers of a group in line with its spec."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        group = DaskWorkerGroup.parse(record.value)
    except InvalidObject as error:
        invalid = invalid_status(record, error, world.now(), Ready=False, Progressing=False, Degraded=True)
        return await world.report(record, invalid)
    cluster = Cluster.of(record, group, world)
    if cluster is None:
        observed = Observed.of(record, world)
        waiting = status.report(group, observed, Retirement(), status.waiting(group))
        return await _report(record, group, waiting, world)

    desired = Desired(group, cluster.value, world.cluster_domain)
    observed = Observed.of(record, world, desired.digest)
    left = await left_workers(endings.unclear(observed), world.agent(cluster.record))
    in_order = endings.in_order(observed, left, world.now())
    observed = dataclasses.replace(observed, in_order=in_order)
    observe = partial(Observed.of, record, world, desired.digest, in_order)
    retired = await _retire(observed, desired, cluster, world)
    # Each of these parts takes a while for a group of thousands of workers: others take their turns between.
    await asyncio.sleep(0)
    planned, plan_again = plan(record, observed, desired, retired, world.now())
    outcome = await world.apply(key, record.uid, planned)
    if refusals := surge.refusals(outcome, planned.create, desired.replicas - observed.count):
        observed = observe()
        retired = await _retire(observed, desired, cluster, world, surge_refused=True)
        planned, _ = plan(record, observed, desired, retired, world.now())
        outcome = outcome.without(refusals) + await world.apply(key, record.uid, planned)
        retired = dataclasses.replace(retired, finding=surge.refused_finding(refusals, retired.finding))
        plan_again = RETRY_SECONDS  # each attempt is one more refused request

    observed = observe()
    drain_again = None
    if desired.suspended:
        found = status.suspended(group, observed, outcome)
    else:
        found = status.running(desired, observed, outcome, retired, world.now())
        if leaving := run_on(observed.terminating, world.now()):
            successors = expected(Step(), observed, desired, cluster, world)
            drain_again = await drain_terminating(leaving, world.agent(cluster.record), successors)
    later = await _report(record, group, status.report(group, observed, retired, found), world)
    outcome.raise_errors()
    return After.soonest(later, After.of(plan_again), After.of(drain_again))


async def _retire(
    observed: Observed, desired: Desired, cluster: Cluster, world: World, *, surge_refused: bool = False
) -> Retirement:
    """Ask the agent to retire the workers that leave next."""
    agent = world.agent(cluster.record)
    step = next_step(observed, desired, world.now(), surge_refused=surge_refused)
    if unregistered := await unregistered_workers(step.successors, agent):
        step = next_step(observed, desired, world.now(), unregistered, surge_refused=surge_refused)
    successors = expected(step, observed, desired, cluster, world) if step.drains else Successors()
    answers = await retire_workers(step.drains, agent, successors)
    return retirement(step, answers, world.now(), successors)


async def _report(
    record: Record, group: DaskWorkerGroup, report: DaskWorkerGroupStatus, world: World
) -> After | None:
    """Write the status, with the times of its conditions."""
    before = conditions_of(record.value)
    found = dated(before, (*report.conditions, *without_effect(group, before)), now=world.now())
    return await world.report(record, report.model_copy(update={"conditions": found}).to_dict())


# ---- the agent in the scheduler


async def unregistered_workers(workers: Sequence[Record], agent: Agent | None) -> tuple[Record, ...]:
    """Return which of these workers the scheduler does not know yet; none if it does not answer."""
    if agent is None or not workers:
        return ()
    try:
        known = await agent.known(_addresses(workers))
    except AgentError:
        return ()
    return tuple(pod for pod in workers if pod.key.name not in known)


async def left_workers(workers: Sequence[Record], agent: Agent | None) -> Mapping[str, float]:
    """Return how many seconds ago each of these workers left the scheduler, of those that had registered."""
    if agent is None or not workers:
        return {}
    try:
        return await agent.left(_addresses(workers))
    except AgentError:
        return {}


async def retire_workers(
    drains: Sequence[Drain], agent: Agent | None, successors: Successors
) -> list[Retired | AgentError]:
    """Retire workers; return an answer per drain. Without a scheduler there is no data to save."""
    return [await _answer(drain, agent, successors) for drain in drains]


async def drain_terminating(
    pods: tuple[Record, ...], agent: Agent | None, successors: Successors
) -> float | None:
    """Retire workers that are being deleted, for example by an eviction, and still run.

    Return when to ask again. They are asked for until they are gone, so that they get no new tasks.
    """
    if agent is None:
        return None
    answer = await _answer(Drain(pods, len(pods)), agent, successors)
    return (
        POLL_SECONDS if isinstance(answer, Retired) and (answer.retiring or answer.waiting) else RETRY_SECONDS
    )


async def _answer(drain: Drain, agent: Agent | None, successors: Successors) -> Retired | AgentError:
    addresses = _addresses(drain.candidates)
    if agent is None:
        return Retired(gone=frozenset(addresses))
    try:
        return await agent.retire(addresses, drain.count, successors)
    except AgentError as error:
        return error


def _addresses(pods: Sequence[Record]) -> dict[str, str]:
    return {pod.key.name: ",".join(pod.value.ips) for pod in pods}
