"""Plan the changes to the children of a job. Pure; the time is passed in."""

from datetime import datetime

from dask_k8s_controller import Create, Delete, Patch, Plan, Record
from dask_k8s_crds import DaskJob
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job import desired
from dask_k8s_job.observe import JobResult, Observed

STOP_DEADLINE = 1
"""An `activeDeadlineSeconds` that stops a running Job at once."""


def advance(job: DaskJob, observed: Observed) -> Plan:
    """Create the cluster; once its scheduler is ready, the runner; once that has a pod, the workers.

    A runner therefore finds its scheduler, and a quota that is too small for all pods leaves out workers.
    """
    if job.spec.suspend:
        return _suspend(job, observed)
    create, patch = [], []
    missing = observed.cluster is None and DASK_CLUSTERS not in observed.expected
    if missing and (own := desired.cluster(job)) is not None:
        create.append(Create(DASK_CLUSTERS, own))
    if (address := observed.scheduler_address) is not None:
        if observed.runner is None and JOBS not in observed.expected:
            create.append(Create(JOBS, desired.runner(job, address)))
        elif observed.runner is not None and observed.runner.value.suspended:
            patch.append(Patch(observed.runner.key, {"spec": {"suspend": False}}))
    if observed.cluster is not None and _workers_may_start(job, observed):
        change = {
            # With the version, the server refuses the patch if somebody has scaled the cluster meanwhile.
            "metadata": {"resourceVersion": str(observed.cluster.version)},
            "spec": {"worker": {"replicas": desired.workers(job)}},
        }
        patch.append(Patch(observed.cluster.key, change))
    return Plan(create=tuple(create), patch=tuple(patch))


def _workers_may_start(job: DaskJob, observed: Observed) -> bool:
    """Whether the runner has a pod, and nobody has changed the cluster since its creation without workers."""
    cluster = observed.live_cluster
    if cluster is None or cluster.value["metadata"].get("generation") != 1:
        return False
    return desired.workers(job) > 0 and any(
        not pod.value.finished and not pod.deleting for pod in observed.pods
    )


def _suspend(job: DaskJob, observed: Observed) -> Plan:
    """Suspend the runner and delete the cluster, so that the job has no pods."""
    patch = []
    runner = observed.runner
    if runner is not None and not runner.value.suspended and runner.value.result is None:
        patch.append(Patch(runner.key, {"spec": {"suspend": True}}))
    return Plan(patch=tuple(patch), delete=_delete_own_cluster(job, observed))


def cleanup(job: DaskJob, observed: Observed, result: JobResult) -> Plan:
    """Delete the cluster of a finished job as `clusterCleanup` says, and stop a runner that still runs."""
    policy = job.spec.cluster_cleanup
    delete = policy == "Always" or (policy == "OnSuccess" and result.succeeded)
    patch = []
    runner = observed.runner
    if runner is not None and not runner.deleting and _is_running(runner):
        patch.append(Patch(runner.key, {"spec": {"activeDeadlineSeconds": STOP_DEADLINE}}))
    return Plan(patch=tuple(patch), delete=_delete_own_cluster(job, observed) if delete else ())


def _is_running(runner: Record) -> bool:
    job = runner.value
    return job.result is None and not job.suspended and job.deadline != STOP_DEADLINE


def _delete_own_cluster(job: DaskJob, observed: Observed) -> tuple[Delete, ...]:
    cluster = observed.live_cluster
    if job.spec.cluster is None or cluster is None:
        return ()
    return (Delete(cluster.key, cluster.uid),)


def ttl_seconds_left(job: DaskJob, result: JobResult, now: datetime) -> float | None:
    """Return in how many seconds a finished job is to be deleted; None if it is kept."""
    ttl = job.spec.ttl_seconds_after_finished
    return None if ttl is None else ttl - (now - result.time).total_seconds()
