"""The reconcile of a DaskWorkerGroup: observe, ask the agent, plan, apply, report the status."""

import asyncio
from collections.abc import Sequence

from dask_k8s_controller.dask.findings import conditions_of, invalid_status, unknown_fields
from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.dask.workergroup import status
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.observe import Cluster, Observed
from dask_k8s_controller.dask.workergroup.plan import next_step, plan
from dask_k8s_controller.dask.workergroup.retirement import (
    POLL_SECONDS,
    RETRY_SECONDS,
    Drain,
    Retirement,
    retirement,
)
from dask_k8s_controller.dask.world import Agent, World
from dask_k8s_controller.runtime.cache import Record
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
    retired = await _retire(observed, desired, cluster, world)
    # Each of these parts takes a while for a group of thousands of workers: others take their turns between.
    await asyncio.sleep(0)
    planned, plan_again = plan(record, observed, desired, retired, world.now())
    outcome = await world.apply(key, record.uid, planned)

    observed = Observed.of(record, world, desired.digest)
    drain_again = None
    if desired.suspended:
        found = status.suspended(group, observed, outcome)
    else:
        found = status.running(group, observed, outcome, retired, desired.strategy)
        drain_again = await drain_terminating(observed.terminating, world.agent(cluster.record))
    later = await _report(record, group, status.report(group, observed, retired, found), world)
    outcome.raise_errors()
    return After.soonest(later, After.of(plan_again), After.of(drain_again))


async def _retire(observed: Observed, desired: Desired, cluster: Cluster, world: World) -> Retirement:
    """Ask the agent to retire the workers that leave next."""
    agent = world.agent(cluster.record)
    step = next_step(observed, desired, world.now())
    if unregistered := await unregistered_workers(step.successors, agent):
        step = next_step(observed, desired, world.now(), unregistered)
    return retirement(step, await retire_workers(step.drains, agent), world.now())


async def _report(
    record: Record, group: DaskWorkerGroup, report: DaskWorkerGroupStatus, world: World
) -> After | None:
    """Write the status, with the times of its conditions."""
    before = conditions_of(record.value)
    found = dated(before, (*report.conditions, *unknown_fields(group, before)), now=world.now())
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


async def retire_workers(drains: Sequence[Drain], agent: Agent | None) -> list[Retired | AgentError]:
    """Retire workers; return an answer per drain. Without a scheduler there is no data to save."""
    return [await _answer(drain, agent) for drain in drains]


async def drain_terminating(terminating: Sequence[Record], agent: Agent | None) -> float | None:
    """Retire workers that are being deleted, for example by an eviction, and run on in a preStop hook.

    Return when to ask again. They are asked for until they are gone, so that they get no new tasks.
    """
    pods = tuple(pod for pod in terminating if pod.deleting and pod.value.has_pre_stop and pod.value.running)
    if agent is None or not pods:
        return None
    answer = await _answer(Drain(pods, len(pods)), agent)
    return POLL_SECONDS if isinstance(answer, Retired) and answer.retiring else RETRY_SECONDS


async def _answer(drain: Drain, agent: Agent | None) -> Retired | AgentError:
    addresses = _addresses(drain.candidates)
    if agent is None:
        return Retired(gone=frozenset(addresses))
    try:
        return await agent.retire(addresses, drain.count)
    except AgentError as error:
        return error


def _addresses(pods: Sequence[Record]) -> dict[str, str]:
    return {pod.key.name: ",".join(pod.value.ips) for pod in pods}
