"""Status: phase, names, times and conditions of a job. Pure; the time is passed in."""

from datetime import datetime

from dask_k8s_controller import HEALTHY, Finding, Outcome, conditions, refused, troubled, without_effect
from dask_k8s_crds import DaskJob, DaskJobStatus
from dask_k8s_crds.conditions import dated
from dask_k8s_crds.job import JobPhase
from dask_k8s_job import start
from dask_k8s_job.findings import cluster_degraded, cluster_not_ready, runner_in_queue, runner_without_pod
from dask_k8s_job.observe import JobResult, Observed

_PHASE_MESSAGES: dict[JobPhase, str] = {
    "JobCreated": "there is no cluster yet",
    "ClusterCreated": "the runner waits for the cluster, or for a place to run",
    "Running": "the runner is at work",
    "Suspended": "spec.suspend: there are no pods until it is false",
}


def report(
    job: DaskJob, observed: Observed, result: JobResult | None, outcome: Outcome, now: datetime
) -> DaskJobStatus:
    """Return the status of a job; `outcome` is that of the last plan."""
    before, phase = observed.status, _phase(job, observed, result)
    runner = observed.runner.value if observed.runner else None
    why = Finding(result.reason, result.message) if result else Finding(phase, _PHASE_MESSAGES[phase])
    degraded = None if result else _degraded(job, observed, outcome, now)
    found = conditions(
        job.metadata.generation,
        ClusterReady=_cluster_ready(job, observed),
        Complete=(result is not None and result.succeeded, why),
        Failed=(result is not None and not result.succeeded, why),
        Degraded=(degraded is not None, degraded or HEALTHY),
    )
    pod = observed.newest_pod
    uids = start.recorded(job, observed)
    return DaskJobStatus(
        job_status=phase,
        cluster_name=job.spec.cluster_name or job.metadata.name,
        job_runner_pod_name=pod.key.name if pod else before.job_runner_pod_name,
        start_time=runner.started if runner and observed.has_run else before.start_time,
        end_time=result.time if result else None,
        failures=runner.failed if runner else before.failures,
        runner_uid=uids.runner,
        cluster_uid=uids.cluster,
        observed_generation=job.metadata.generation,
        conditions=dated(
            before.conditions,
            (*found, *without_effect(job, before.conditions, job.spec.job.metadata)),
            now=now,
        ),
    )


def _phase(job: DaskJob, observed: Observed, result: JobResult | None) -> JobPhase:
    if result is not None:
        return "Successful" if result.succeeded else "Failed"
    if job.spec.suspend:
        return "Suspended"
    if observed.status.job_status is None:
        return "JobCreated"
    if observed.has_run and observed.runner and not observed.runner.value.suspended:
        return "Running"
    return "JobCreated" if observed.live_cluster is None else "ClusterCreated"


def _cluster_ready(job: DaskJob, observed: Observed) -> tuple[bool | None, Finding]:
    """Return `ClusterReady`; the start timeout counts from the last transition of this condition."""
    if job.spec.suspend:
        return None, Finding("Suspended", _PHASE_MESSAGES["Suspended"])
    not_ready = cluster_not_ready(job, observed)
    return not_ready is None, not_ready or Finding("SchedulerReady", "the scheduler is ready")


def _degraded(job: DaskJob, observed: Observed, outcome: Outcome, now: datetime) -> Finding | None:
    """Return the first problem: a refused write, then that of the cluster, then that of the runner."""
    if finding := refused(outcome):
        return finding
    if job.spec.suspend:
        return None
    if observed.cluster is None and job.spec.cluster_name:
        return cluster_not_ready(job, observed)
    return (
        cluster_degraded(observed)
        or troubled(pod.value for pod in observed.pods if not pod.value.finished)
        or runner_in_queue(observed)
        or runner_without_pod(observed, now)
    )
