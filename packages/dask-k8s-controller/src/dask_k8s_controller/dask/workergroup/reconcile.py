"""The reconcile of a DaskWorkerGroup: observe, ask the agent, plan, apply, report the status."""

from dask_k8s_controller.dask.findings import conditions_of, invalid_status
from dask_k8s_controller.dask.workergroup import status
from dask_k8s_controller.dask.workergroup.agent import drain_terminating, retire_workers, unregistered_workers
from dask_k8s_controller.dask.workergroup.desired import Desired
from dask_k8s_controller.dask.workergroup.observe import Cluster, Observed
from dask_k8s_controller.dask.workergroup.plan import next_step, plan
from dask_k8s_controller.dask.workergroup.retirement import Retirement, retirement
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.results import After
from dask_k8s_crds import DaskWorkerGroup, DaskWorkerGroupStatus, InvalidObject
from dask_k8s_crds.conditions import merge


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the workers of a group in line with its spec."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        group = DaskWorkerGroup.parse(record.value)
    except InvalidObject as error:
        invalid = invalid_status(record, error, world.now(), Ready=False, Progressing=False, Degraded=True)
        return await world.report(key, invalid)
    cluster = Cluster.of(record, group, world)
    if cluster is None:
        observed = Observed.of(record, world)
        return await _report(
            record, status.report(group, observed, Retirement(), status.waiting(group)), world
        )

    desired = Desired(group, cluster.value, world.cluster_domain)
    observed = Observed.of(record, world, desired.digest)
    retired = await _retire(observed, desired, cluster, world)
    planned = plan(record, observed, desired, retired, world.now())
    outcome = await world.apply(key, record.uid, planned.writes)

    observed = Observed.of(record, world, desired.digest)
    drain_again = None
    if desired.suspended:
        found = status.suspended(group, observed, outcome)
    else:
        found = status.running(group, observed, outcome, retired, desired.strategy)
        drain_again = await drain_terminating(observed.terminating, world.agent(cluster.record))
    later = await _report(record, status.report(group, observed, retired, found), world)
    outcome.raise_errors()
    return After.soonest(later, After.of(planned.look_again), After.of(drain_again))


async def _retire(observed: Observed, desired: Desired, cluster: Cluster, world: World) -> Retirement:
    """Ask the agent to retire the workers that leave next."""
    agent = world.agent(cluster.record)
    step = next_step(observed, desired, world.now())
    if unregistered := await unregistered_workers(step.successors, agent):
        step = next_step(observed, desired, world.now(), unregistered)
    answers = await retire_workers(step.drains, agent)
    return retirement(step, answers, world.now())


async def _report(record: Record, report: DaskWorkerGroupStatus, world: World) -> After | None:
    """Write the status, with the times of its conditions and the conditions of others."""
    merged = merge(conditions_of(record.value), report.conditions, now=world.now())
    return await world.report(record.key, report.model_copy(update={"conditions": merged}).to_dict())
