"""Findings: what keeps a job from running, each as a reason and a message. Pure; the time is passed in."""

from datetime import datetime

from dask_k8s_controller import Finding
from dask_k8s_crds import DaskJob
from dask_k8s_crds.conditions import find
from dask_k8s_job.observe import Observed

RUNNER_POD_SECONDS = 10.0
"""How long the runner may have no pod before the job is degraded."""


def cluster_not_ready(job: DaskJob, observed: Observed) -> Finding | None:
    """Return why the scheduler of the cluster is not ready, with the cluster's own message if it has one."""
    if observed.scheduler_address is not None:
        return None
    cluster, name = observed.live_cluster, job.spec.cluster_name or job.metadata.name
    if observed.name_conflict:
        return Finding("NameTaken", f'DaskCluster "{name}" was not made for this job: delete or rename one')
    if cluster is None:
        missing = f'there is no DaskCluster "{name}" in namespace "{observed.record.key.namespace}"'
        return Finding("ClusterNotFound", missing)
    return (
        cluster_degraded(observed)
        or _cluster_condition(observed, "SchedulerReady", "False")
        or Finding("ClusterNotReady", f"DaskCluster {cluster.key.name} has just been made")
    )


def cluster_degraded(observed: Observed) -> Finding | None:
    """Return why the cluster is degraded."""
    return _cluster_condition(observed, "Degraded", "True")


def _cluster_condition(observed: Observed, condition_type: str, status: str) -> Finding | None:
    found = find(observed.cluster_status.conditions, condition_type)
    if observed.cluster is None or found is None or found.status != status:
        return None
    return Finding(found.reason, f"DaskCluster {observed.cluster.key.name}: {found.message}")


def runner_in_queue(observed: Observed) -> Finding | None:
    """Return that Kueue keeps the runner suspended, as it does in a namespace with a default queue."""
    runner = observed.runner
    if runner is None or not runner.value.suspended or not runner.value.queue or not observed.runner_recorded:
        return None
    message = f"Job {runner.key.name} is suspended until Kueue admits it from the queue {runner.value.queue}"
    return Finding("RunnerInQueue", message)


def runner_without_pod(observed: Observed, now: datetime) -> Finding | None:
    """Return that the runner has no pod, with the reason from the Event of its Job if there is one."""
    runner = observed.runner
    if runner is None or runner.value.suspended or runner.value.result is not None:
        return None
    if any(not pod.value.finished for pod in observed.pods):
        return None
    if (event := observed.failed_create) is not None:
        return Finding("RunnerMissing", f"Job {runner.key.name} cannot create its pod: {event.message}")
    if observed.pods:  # a retry, which Kubernetes delays
        return None
    since = runner.value.started or runner.value.created
    if (now - since).total_seconds() < RUNNER_POD_SECONDS:
        return None
    name = runner.key.name
    return Finding("RunnerMissing", f'Job {name} has no pod; "kubectl describe job {name}" says why')
