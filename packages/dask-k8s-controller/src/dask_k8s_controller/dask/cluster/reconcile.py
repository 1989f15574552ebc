"""The reconcile of a DaskCluster: observe, plan, apply, report the status."""

from dataclasses import replace

from dask_k8s_controller.dask.cluster import agent, idle, service_edits, status
from dask_k8s_controller.dask.cluster.idle import IdleState
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.cluster.plan import plan, plan_scheduler
from dask_k8s_controller.dask.findings import invalid_status, without_effect
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.results import After
from dask_k8s_crds import DaskCluster, DaskClusterStatus, InvalidObject
from dask_k8s_crds.conditions import dated
from dask_k8s_crds.resources import DASK_WORKER_GROUPS


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the children of a cluster in line with its spec."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        cluster = DaskCluster.parse(record.value)
    except InvalidObject as error:
        invalid = invalid_status(record, error, world.now(), Ready=False, Progressing=False, Degraded=True)
        return await world.report(record, {**invalid, "phase": "Error"})
    observed = Observed.of(record, world)
    scheduler = plan_scheduler(cluster, observed, world.now())
    prepared = agent.plan(cluster, observed, world.now(), new_scheduler=scheduler.name is not None)
    outcome = await world.apply(key, record.uid, prepared)
    if outcome.errors:
        # The scheduler cannot start without its Secret.
        scheduler = replace(scheduler, name=None)
    planned = plan(cluster, record, observed, scheduler)
    outcome += await world.apply(key, record.uid, planned)
    if recreate := service_edits.recreate(observed.service, outcome):
        recreated = await world.apply(key, record.uid, recreate)
        outcome = service_edits.without_immutable_errors(outcome) + recreated
    idle_state = await _idle_state(cluster, record, world)
    job_active = idle.belongs_to_job(cluster, observed.job, world.now())
    if idle_state.timed_out and idle_state.since is not None and not job_active:
        idle_plan = idle.plan(cluster, record, observed, idle_state.since)
        outcome += await world.apply(key, record.uid, idle_plan)
    observed = Observed.of(record, world)
    edits = [patch.body for patch in planned.patch if patch.key.resource == DASK_WORKER_GROUPS]
    passed_on = any("spec" in edit for edit in edits)
    found = status.conditions(
        cluster, observed, outcome, passed_on=passed_on, idleness_unknown=idle_state.unknown
    )
    before = conditions_of(record.value)
    more = (*agent.token_conditions(cluster, observed), *without_effect(cluster, before))
    found = dated(before, (*found, *more), now=world.now())
    report = status.report(cluster, observed, found, idle_state.since, domain=world.cluster_domain)
    later = await world.report(record, report.to_dict())
    outcome.raise_errors()
    replacement = agent.replacement_wait(cluster, observed, world.now()) or None
    waits = (scheduler.look_again, idle_state.look_again, replacement)
    return After.soonest(later, *map(After.of, waits))


async def _idle_state(cluster: DaskCluster, record: Record, world: World) -> IdleState:
    """Ask the scheduler whether it is idle, if the cluster has a timeout and is not suspended."""
    asks = cluster.spec.idle_timeout and not cluster.spec.suspend
    scheduler_agent = world.agent(record) if asks else None
    if scheduler_agent is None:
        return IdleState()
    before = DaskClusterStatus.of(record.value).idle_since
    try:
        seconds = await scheduler_agent.idle()
    except AgentError as error:
        return idle.unknown(error, before)
    return idle.check(cluster, seconds, world.now(), before)
