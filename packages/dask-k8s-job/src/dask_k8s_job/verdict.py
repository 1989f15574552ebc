"""Has the job ended, and how? Pure; the time is passed in."""

from datetime import datetime

from dask_k8s_controller import Create, Outcome, WriteError
from dask_k8s_crds import DaskJob
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job.observe import End, Observed, cluster_trouble, condition, is_degraded

START_SECONDS = 600.0
"""A cluster that cannot be reached for so long, and knows why, fails the job."""


def reported(observed: Observed) -> End | None:
    """Return the end that was reported: it is the end, whatever happens to the cluster and the runner."""
    status = observed.status
    for each in status.conditions:
        if each.type in {"Complete", "Failed"} and each.status == "True" and status.end_time:
            return End(each.type == "Complete", each.reason, each.message, status.end_time)
    return None


def verdict(job: DaskJob, observed: Observed, now: datetime) -> End | None:
    """Return how the job has ended, if it has."""
    trouble = cluster_trouble(observed, job)
    end: End | None = observed.runner.value.end if observed.runner else None
    if end is not None and end.reason == "DeadlineExceeded" and trouble is not None:
        return End.failure("ClusterFailed", trouble.message, end.time)
    if end is not None:
        return _with_last_words(end, observed)
    rest = patience(job, observed, now)
    if trouble is not None and rest is not None and rest <= 0:
        return End.failure("ClusterFailed", trouble.message, now)
    return None


def _with_last_words(end: End, observed: Observed) -> End:
    """Let the newest pod say why, where a Job says only that it has tried often enough."""
    last = observed.newest_pod
    if end.reason != "BackoffLimitExceeded" or last is None or last.value.trouble is None:
        return end
    return end._replace(message=f"{end.message}; pod {last.key.name}: {last.value.trouble.message}")


def patience(job: DaskJob, observed: Observed, now: datetime) -> float | None:
    """Return the seconds for which a cluster may still be out of reach; None: as long as it likes."""
    if job.spec.suspend or observed.address is not None:
        return None
    limits = [START_SECONDS] if is_degraded(observed) else []
    if job.spec.active_deadline_seconds is not None:
        limits.append(float(job.spec.active_deadline_seconds))
    if not limits:
        return None
    known = condition(observed.record.value, "ClusterReady")
    since = known.last_transition_time if known is not None and known.status == "False" else None
    return min(limits) - ((now - since).total_seconds() if since else 0.0)


def refused(outcome: Outcome, now: datetime) -> End | None:
    """Return that the job has failed where a child breaks a rule of Kubernetes: it will at every try."""
    for error in outcome.errors:
        if (
            isinstance(error, WriteError)
            and isinstance(error.action, Create)
            and error.action.resource in {DASK_CLUSTERS, JOBS}
            and error.status in {400, 422}
        ):
            return End.failure("InvalidSpec", f"{error.action}: {error.message}", now)
    return None
