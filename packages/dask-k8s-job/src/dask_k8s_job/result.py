"""Decide whether a job has finished, and how. Pure; the time is passed in."""

from datetime import datetime
from typing import NamedTuple

from dask_k8s_controller import Create, Key, Outcome, WriteError
from dask_k8s_crds import DaskJob, names
from dask_k8s_crds.conditions import find
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job.findings import cluster_degraded, cluster_not_ready
from dask_k8s_job.observe import JobResult, Observed

START_SECONDS = 600.0
"""How long a cluster may be missing or degraded before the job fails."""


def reported_result(observed: Observed) -> JobResult | None:
    """Return the result in the status; it is final, whatever happens to the cluster and the runner later.

    Its time is that at which it was reported: the clock of the API server, as that of `World.now`. The end of
    the runner has the time of another clock.
    """
    status = observed.status
    for each in status.conditions:
        if each.type in {"Complete", "Failed"} and each.status == "True" and status.end_time:
            return JobResult(
                each.type == "Complete",
                each.reason,
                each.message,
                each.last_transition_time or status.end_time,
            )
    return None


def job_result(job: DaskJob, observed: Observed, now: datetime) -> JobResult | None:
    """Return how the job has finished, None while it goes on."""
    not_ready = cluster_not_ready(job, observed)
    result: JobResult | None = observed.runner.value.result if observed.runner else None
    if result is not None and result.reason == "DeadlineExceeded" and not_ready is not None:
        return JobResult.failure("ClusterFailed", not_ready.message, result.time)
    if result is not None:
        return _with_pod_message(result, observed)
    seconds = start_seconds_left(job, observed, now)
    if not_ready is not None and seconds is not None and seconds <= 0:
        return JobResult.failure("ClusterFailed", not_ready.message, now)
    return None


def _with_pod_message(result: JobResult, observed: Observed) -> JobResult:
    """Add why the newest pod failed if the Job only reports that it failed too often."""
    pod = observed.newest_pod
    if result.reason != "BackoffLimitExceeded" or pod is None or pod.value.trouble is None:
        return result
    return result._replace(message=f"{result.message}; pod {pod.key.name}: {pod.value.trouble.message}")


class Loss(NamedTuple):
    """A child that the status names and the cache does not show, and the result if it does not exist."""

    key: Key
    uid: str
    result: JobResult


def possible_loss(job: DaskJob, observed: Observed, now: datetime) -> Loss | None:
    """Return the runner, or the cluster that it runs on, if somebody has deleted it, unless the cache lags.

    Whether a deleted runner had succeeded is unknown, and a runner without its cluster has lost its results.
    """
    if job.spec.suspend:
        return None
    status, namespace = observed.status, observed.record.key.namespace
    if status.runner_uid is not None and not observed.runner_recorded:
        key = Key(JOBS, namespace, names.runner(job.metadata.name))
        message = (
            f"Job {key.name} (uid {status.runner_uid}) was deleted before its result was known, and its "
            "client is not run a second time; to run it again, create another DaskJob"
        )
        return Loss(key, status.runner_uid, JobResult.failure("RunnerLost", message, now))
    if status.cluster_uid is not None and not (observed.cluster_recorded and observed.live_cluster):
        key = Key(DASK_CLUSTERS, namespace, job.metadata.name)
        message = (
            f"DaskCluster {key.name} (uid {status.cluster_uid}) was deleted while the job ran, and the "
            "results on it are lost; to run the job again, create another DaskJob"
        )
        return Loss(key, status.cluster_uid, JobResult.failure("ClusterDeleted", message, now))
    return None


def start_seconds_left(job: DaskJob, observed: Observed, now: datetime) -> float | None:
    """Return in how many seconds the job fails unless its scheduler becomes ready; None if it never does."""
    if job.spec.suspend or observed.scheduler_address is not None:
        return None
    waiting_is_futile = observed.live_cluster is None or cluster_degraded(observed) is not None
    limits = [START_SECONDS] if waiting_is_futile else []
    if job.spec.active_deadline_seconds is not None:
        limits.append(float(job.spec.active_deadline_seconds))
    if not limits:
        return None
    ready = find(observed.status.conditions, "ClusterReady")
    since = ready.last_transition_time if ready is not None and ready.status == "False" else None
    return min(limits) - ((now - since).total_seconds() if since else 0.0)


def invalid_child(outcome: Outcome, now: datetime) -> JobResult | None:
    """Return that the job has failed if the API server refuses a child as invalid; retries do not help."""
    for error in outcome.errors:
        if (
            isinstance(error, WriteError)
            and isinstance(error.action, Create)
            and error.action.resource in {DASK_CLUSTERS, JOBS}
            and error.status in {400, 422}
        ):
            return JobResult.failure("InvalidSpec", f"{error.action}: {error.message}", now)
    return None
