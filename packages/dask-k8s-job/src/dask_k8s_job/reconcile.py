"""One turn of a DaskJob: observe, judge, plan, apply, report; after its end, tidy up."""

from dask_k8s_controller import After, Delete, Key, Outcome, Plan, Record, World, invalid_status
from dask_k8s_crds import DaskJob, InvalidObject
from dask_k8s_job import plan, status
from dask_k8s_job.observe import End, Observed
from dask_k8s_job.status import RUNNER_SECONDS
from dask_k8s_job.verdict import patience, refused, reported, verdict


async def reconcile(key: Key, world: World) -> After | None:
    """Bring the cluster and the runner of a job in line with it."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    try:
        job = DaskJob.parse(record.value)
    except InvalidObject as error:
        return await world.report(key, invalid_status(record, error, world.now(), Degraded=True))
    observed = Observed.of(record, job, world)
    if (end := reported(observed)) is not None:
        return await _tidy(job, observed, end, world)
    if observed.status.job_status is None:
        # Whoever follows the words of a job sees the first one, too; it rings again.
        first = status.report(job, observed, None, Outcome(), world.now())
        return await world.report(key, first.to_dict())
    outcome = Outcome()
    end = verdict(job, observed, world.now())
    if end is None:
        outcome = await world.apply(key, record.uid, plan.proceed(job, observed))
        observed = Observed.of(record, job, world)
        end = refused(outcome, world.now())
    # The end is written before anything goes: whoever comes next must not begin again.
    later = await world.report(key, status.report(job, observed, end, outcome, world.now()).to_dict())
    if end is None:
        outcome.raise_errors()
    return After.soonest(later, _look_again(job, observed, world))


def _look_again(job: DaskJob, observed: Observed, world: World) -> After | None:
    """When time alone makes a difference."""
    rest = patience(job, observed, world.now())
    waits = After.of(None if rest is None else max(rest, 0.0) + 1.0)
    if observed.runner is not None and not observed.pods and observed.runner.value.end is None:
        return After.soonest(waits, After(RUNNER_SECONDS))
    return waits


async def _tidy(job: DaskJob, observed: Observed, end: End, world: World) -> After | None:
    record: Record = observed.record
    outcome = await world.apply(record.key, record.uid, plan.tidy(job, observed, end))
    outcome.raise_errors()
    rest = plan.lifetime(job, end, world.now())
    if rest is None or rest > 0:
        return After.of(rest)
    gone = Plan(delete=(Delete(record.key, record.uid, record.version),))
    outcome = await world.apply(record.key, record.uid, gone)
    outcome.raise_errors()
    return None
