"""Reconcile a DaskJob: observe, decide, plan, apply, report; clean up after it has finished."""

from dask_k8s_controller import After, Delete, Key, Outcome, Plan, World, invalid_status
from dask_k8s_crds import DaskJob, InvalidObject
from dask_k8s_crds.resources import JOBS
from dask_k8s_job import plan
from dask_k8s_job.findings import RUNNER_POD_SECONDS
from dask_k8s_job.observe import JobResult, Observed
from dask_k8s_job.result import (
    invalid_child,
    job_result,
    possible_loss,
    reported_result,
    start_seconds_left,
)
from dask_k8s_job.start import new_cluster
from dask_k8s_job.status import report

LAG_SECONDS = 1.0
"""When to reconcile again if the cache does not show a child that exists."""


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the cluster and the runner of a job in line with its spec."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        job = DaskJob.parse(record.value)
    except InvalidObject as error:
        return await world.report(record, invalid_status(record, error, world.now(), Degraded=True))
    observed = Observed.of(record, job, world)
    if (result := reported_result(observed)) is not None:
        return await _clean_up(job, observed, result, world)
    if observed.status.job_status is None:
        # Users who watch a job see every phase of it: the first is reported before anything is created.
        # The change of the status triggers the next reconcile.
        return await world.report(record, report(job, observed, None, Outcome(), world.now()).to_dict())
    result = job_result(job, observed, world.now())
    if result is None and (loss := possible_loss(job, observed, world.now())) is not None:
        if await world.exists(loss.key, loss.uid):
            return After(LAG_SECONDS)
        result = loss.result
    if result is not None:
        return await _report(job, observed, result, Outcome(), world)
    return await _advance(job, observed, world)


async def _advance(job: DaskJob, observed: Observed, world: World) -> After | None:
    record = observed.record
    planned = plan.advance(job, observed)
    if planned and (job.spec.suspend or planned.delete) and not await _is_current(observed, world):
        return After(LAG_SECONDS)
    outcome = await world.apply(record.key, record.uid, planned)
    observed = Observed.of(record, job, world)
    if JOBS in observed.expected and not outcome.failures:
        # The runner starts sooner if the next turn, in which the cache shows it, writes the status: there is
        # at most one write a second.
        return None
    cluster = new_cluster(job, observed)
    if cluster is not None and not await world.exists(cluster.key, cluster.uid):
        return After(LAG_SECONDS)
    result = invalid_child(outcome, world.now())
    later = await _report(job, observed, result, outcome, world)
    if result is None:
        outcome.raise_errors()
    return After.soonest(later, _next_check(job, observed, world))


async def _is_current(observed: Observed, world: World) -> bool:
    """Ask the API server whether the job and its runner are as the cache shows them.

    A cache that lags may show that a job is suspended which has been resumed since, and runs.
    """
    records = [record for record in (observed.record, observed.runner) if record is not None]
    return all([await world.exists(*record[:3]) for record in records])


async def _report(
    job: DaskJob, observed: Observed, result: JobResult | None, outcome: Outcome, world: World
) -> After | None:
    """Write the status, a result before anything is deleted, so that a later reconcile does not start again.

    Nothing is written if the job has changed during this turn: what this turn found must not replace the uid
    of a runner that another controller has recorded meanwhile.
    """
    record = observed.record
    current = world.get(record.key)
    if current is None or current.version != record.version:
        return After(LAG_SECONDS)
    return await world.report(record, report(job, observed, result, outcome, world.now()).to_dict())


def _next_check(job: DaskJob, observed: Observed, world: World) -> After | None:
    """Return when to reconcile again even if nothing changes, because a time limit is exceeded then."""
    seconds = start_seconds_left(job, observed, world.now())
    start = After.of(None if seconds is None else max(seconds, 0.0) + 1.0)
    if observed.runner is not None and not observed.pods and observed.runner.value.result is None:
        return After.soonest(start, After(RUNNER_POD_SECONDS))
    return start


async def _clean_up(job: DaskJob, observed: Observed, result: JobResult, world: World) -> After | None:
    record = observed.record
    outcome = await world.apply(record.key, record.uid, plan.cleanup(job, observed, result))
    outcome.raise_errors()
    seconds = plan.ttl_seconds_left(job, result, world.now())
    if seconds is None or seconds > 0:
        return After.of(seconds)
    delete = Plan(delete=(Delete(record.key, record.uid, record.version),))
    outcome = await world.apply(record.key, record.uid, delete)
    outcome.raise_errors()
    return None
