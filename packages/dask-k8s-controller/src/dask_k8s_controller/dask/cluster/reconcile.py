"""One turn of a DaskCluster: observe, desire, plan, apply, report."""

import secrets
from datetime import datetime

from dask_k8s_controller.dask.cluster import idle, plan, status
from dask_k8s_controller.dask.cluster.idle import Idleness
from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.dask.cluster.service import recreate_service
from dask_k8s_controller.dask.findings import conditions_of, invalid_status
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Plan
from dask_k8s_controller.runtime.results import After
from dask_k8s_crds import DaskCluster, InvalidObject
from dask_k8s_crds.conditions import merge
from dask_k8s_crds.resources import DASK_WORKER_GROUPS

RETRY_SECONDS = 10.0
"""A scheduler that could not be asked whether it is idle is asked again."""


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the children of a cluster in line with it."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        cluster = DaskCluster.parse(record.value)
    except InvalidObject as error:
        return await world.report(
            key,
            {
                **invalid_status(record, error, world.now(), Ready=False, Progressing=False, Degraded=True),
                "phase": "Error",
            },
        )
    observed = Observed.of(record, world)
    scheduler = plan.plan_scheduler(cluster, observed, world.now())
    token = secrets.token_urlsafe(32)
    wanted = plan.plan(cluster, record, observed, scheduler, token=token)
    refused, outcome = recreate_service(observed.service, await world.apply(key, record.uid, wanted))
    if refused is not None:
        outcome += await world.apply(key, record.uid, Plan(delete=(refused,)))
    idleness = await _idleness(cluster, record, world)
    if idleness.over and idleness.since is not None:
        rest = idle.plan(cluster, record, observed, idleness.since)
        outcome += await world.apply(key, record.uid, rest)
    observed = Observed.of(record, world)
    passed_on = any(each.key.resource == DASK_WORKER_GROUPS and "spec" in each.body for each in wanted.patch)
    told = status.conditions(cluster, observed, outcome, passed_on=passed_on)
    found = merge(conditions_of(record.value), told, now=world.now())
    report = status.report(cluster, observed, found, idleness.since, domain=world.cluster_domain)
    later = await world.report(key, report.to_dict())
    outcome.raise_errors()
    return After.soonest(later, After.of(scheduler.look_again), After.of(idleness.look_again))


async def _idleness(cluster: DaskCluster, record: Record, world: World) -> Idleness:
    """Ask the scheduler, if the cluster has a time-out at all, and does not rest already."""
    asks = cluster.spec.idle_timeout and not cluster.spec.suspend
    agent = world.agent(record) if asks else None
    if agent is None:
        return Idleness()
    before = (record.value.get("status") or {}).get("idleSince")
    known = datetime.fromisoformat(before) if before else None
    try:
        seconds = await agent.idle()
    except AgentError:
        # Nobody knows: what was known stays, and nothing is done.
        return Idleness(since=known, look_again=RETRY_SECONDS)
    return idle.judge(cluster, seconds, world.now(), known)
