"""Plan the changes to the children of a job. Pure; the time is passed in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dask_k8s_controller import Create, Delete, Patch, Plan, Record
from dask_k8s_crds import DaskJob, labels
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job import desired
from dask_k8s_job.observe import JobResult, Observed
from dask_k8s_job.start import may_start, outdated_cluster, outdated_runner

STOP_DEADLINE = 1
"""An `activeDeadlineSeconds` that stops a running Job at once."""


def advance(job: DaskJob, observed: Observed) -> Plan:
    """Create the cluster; once its scheduler is ready, the runner; once that has a pod, the workers.

    A runner therefore finds its scheduler, and a quota that is too small for all pods leaves out workers.

    The runner starts only after the status names it, see `start`.
    """
    if job.spec.suspend:
        return _suspend(job, observed)
    if (outdated := outdated_cluster(job, observed)) is not None:
        return Plan(delete=(Delete(outdated.key, outdated.uid, outdated.version),))
    create: list[Create] = []
    patch: list[Patch] = []
    delete: list[Delete] = []
    runner = observed.runner
    if _cluster_may_be_created(observed) and (own := desired.cluster(job)) is not None:
        create.append(Create(DASK_CLUSTERS, own))
    if runner is None:
        if _runner_may_be_created(observed):
            create.append(Create(JOBS, desired.runner(job, observed.scheduler_address or "")))
    elif outdated_runner(job, observed):
        delete.append(Delete(runner.key, runner.uid, runner.version))
    elif not runner.deleting and runner.value.result is None:
        patch += _edit_runner(runner, _runner_changes(job, observed, runner))
    patch += _release_workers(job, observed)
    return Plan(create=tuple(create), patch=tuple(patch), delete=tuple(delete))


def _cluster_may_be_created(observed: Observed) -> bool:
    return (
        observed.cluster is None
        and observed.status.cluster_uid is None
        and DASK_CLUSTERS not in observed.expected
    )


def _runner_may_be_created(observed: Observed) -> bool:
    return (
        observed.scheduler_address is not None
        and observed.status.runner_uid is None
        and JOBS not in observed.expected
    )


def _runner_changes(job: DaskJob, observed: Observed, runner: Record) -> dict[str, Any]:
    """Return the fields to change in the spec of the runner: its limits, and whether it is suspended."""
    current = {
        "backoffLimit": runner.value.backoff_limit,
        "activeDeadlineSeconds": runner.value.deadline,
    }
    limits = desired.changeable_limits(job)
    changes: dict[str, Any] = {name: limit for name, limit in limits.items() if current[name] != limit}
    # Kueue alone starts a Job in a queue, and would suspend it again.
    if runner.value.suspended and may_start(job, observed) and not runner.value.queue:
        changes["suspend"] = False
    return changes


def _edit_runner(runner: Record, changes: Mapping[str, Any]) -> tuple[Patch, ...]:
    """Return the patch of the runner's spec; the API server refuses it if the Job has changed meanwhile."""
    if not changes:
        return ()
    return (Patch(runner.key, {"metadata": {"resourceVersion": str(runner.version)}, "spec": {**changes}}),)


def _release_workers(job: DaskJob, observed: Observed) -> tuple[Patch, ...]:
    """Let the cluster have its workers once the runner has a pod.

    The cluster records that it has got them: if somebody scales it, before or after, it keeps its size.
    """
    cluster, number = observed.live_cluster, desired.workers(job)
    runs = any(not pod.value.finished and not pod.deleting for pod in observed.pods)
    if cluster is None or not runs or not number or _annotations(cluster).get(labels.JOB_REPLICAS) != "0":
        return ()
    change: dict[str, Any] = {
        # With the version, the server refuses the patch if somebody has scaled the cluster meanwhile.
        "metadata": {
            "resourceVersion": str(cluster.version),
            "annotations": {labels.JOB_REPLICAS: str(number)},
        },
    }
    if cluster.value["spec"]["worker"].get("replicas") == 0:
        change["spec"] = {"worker": {"replicas": number}}
    return (Patch(cluster.key, change),)


def _annotations(cluster: Record) -> Mapping[str, str]:
    return cluster.value["metadata"].get("annotations") or {}


def _suspend(job: DaskJob, observed: Observed) -> Plan:
    """Suspend the runner, then delete the cluster, so that the job has no pods.

    A runner that runs and is not in the status was started by somebody else: it is recorded first. The
    cluster is deleted after the status has dropped it: one that is in the status and gone has been deleted by
    somebody else.
    """
    runner = observed.runner
    if runner is not None and observed.runner_may_run:
        stop = observed.runner_recorded and not runner.deleting
        return Plan(patch=_edit_runner(runner, {"suspend": True}) if stop else ())
    if observed.status.cluster_uid is not None:
        return Plan()
    return Plan(delete=_delete_own_cluster(job, observed))


def cleanup(job: DaskJob, observed: Observed, result: JobResult) -> Plan:
    """Delete the cluster of a finished job as `clusterCleanup` says, and stop a runner that still runs."""
    policy = job.spec.cluster_cleanup
    delete = policy == "Always" or (policy == "OnSuccess" and result.succeeded)
    patch: tuple[Patch, ...] = ()
    runner = observed.runner
    if runner is not None and not runner.deleting and _is_running(runner):
        patch = _edit_runner(runner, {"activeDeadlineSeconds": STOP_DEADLINE})
    return Plan(patch=patch, delete=_delete_own_cluster(job, observed) if delete else ())


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
