"""Report: how it is with a job. No await, no clock, no environment."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from dask_k8s_controller import Finding, Outcome, Record, conditions, troubled
from dask_k8s_controller import refused as first_refused
from dask_k8s_crds import DaskJob, DaskJobStatus
from dask_k8s_crds.conditions import merge
from dask_k8s_job.observe import End, Observed, cluster_trouble, condition

Word = Literal["JobCreated", "ClusterCreated", "Running", "Successful", "Failed", "Suspended"]
HEALTHY = Finding("Healthy", "nothing is wrong")
RUNNER_SECONDS = 10.0
"""A runner whose Job has no pod after so long has a problem."""
_WORDS: dict[Word, str] = {
    "JobCreated": "there is no cluster yet",
    "ClusterCreated": "the runner waits for the cluster, or for a place to run",
    "Running": "the runner is at work",
    "Suspended": "spec.suspend: there are no pods until it is false",
}


def report(
    job: DaskJob, observed: Observed, end: End | None, outcome: Outcome, now: datetime
) -> DaskJobStatus:
    """Describe a job in a word, names, times and conditions."""
    before, word = observed.status, _word(job, observed, end)
    runner = observed.runner.value if observed.runner else None
    why = Finding(end.reason, end.message) if end else Finding(word, _WORDS[word])
    degraded = None if end else _degraded(job, observed, outcome, now)
    found = conditions(
        job.metadata.generation,
        ClusterReady=_cluster_ready(job, observed),
        Complete=(end is not None and end.succeeded, why),
        Failed=(end is not None and not end.succeeded, why),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )
    made = observed.cluster is not None and not observed.cluster.deleting
    pod = observed.newest_pod
    return DaskJobStatus(
        job_status=word,
        cluster_name=observed.cluster.key.name if made and observed.cluster else before.cluster_name,
        job_runner_pod_name=pod.key.name if pod else before.job_runner_pod_name,
        start_time=runner.started if runner and observed.has_run else before.start_time,
        end_time=end.time if end else None,
        failures=runner.failed if runner else before.failures,
        observed_generation=job.metadata.generation,
        conditions=merge(before.conditions, found, now=now),
    )


def _word(job: DaskJob, observed: Observed, end: End | None) -> Word:
    if end is not None:
        return "Successful" if end.succeeded else "Failed"
    if job.spec.suspend:
        return "Suspended"
    if observed.status.job_status is None:
        return "JobCreated"
    if observed.has_run and observed.runner and not observed.runner.value.suspended:
        return "Running"
    return "JobCreated" if observed.cluster is None or observed.cluster.deleting else "ClusterCreated"


def _cluster_ready(job: DaskJob, observed: Observed) -> tuple[bool | None, Finding]:
    """The time of its last transition tells for how long the cluster has been out of reach."""
    if job.spec.suspend:
        return None, Finding("Suspended", _WORDS["Suspended"])
    trouble = cluster_trouble(observed, job)
    return trouble is None, trouble or Finding("SchedulerReady", "the scheduler is ready")


def _degraded(job: DaskJob, observed: Observed, outcome: Outcome, now: datetime) -> Finding | None:
    """What went wrong: first what was refused, then the cluster, then the runner."""
    if finding := first_refused(outcome):
        return finding
    if job.spec.suspend:
        return None
    if observed.cluster is None and job.spec.cluster_name:
        return cluster_trouble(observed, job)
    found = condition(observed.cluster.value, "Degraded") if observed.cluster else None
    if found is not None and found.status == "True" and observed.cluster:
        return Finding(found.reason, f"DaskCluster {observed.cluster.key.name}: {found.message}")
    living: Iterable[Record] = (pod for pod in observed.pods if not pod.value.finished)
    return troubled(pod.value for pod in living) or runner_missing(observed, now)


def runner_missing(observed: Observed, now: datetime) -> Finding | None:
    """Why there is no pod is told by the Events of the Job, of which a quota is the most frequent."""
    runner = observed.runner
    if runner is None or observed.pods or runner.value.suspended or runner.value.end is not None:
        return None
    since = runner.value.started or runner.value.created
    if (now - since).total_seconds() < RUNNER_SECONDS:
        return None
    name = runner.key.name
    return Finding("RunnerMissing", f'Job {name} has no pod; "kubectl describe job {name}" says why')
