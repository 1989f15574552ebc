"""Choose what to change about the children of a job. Pure; the time is passed in."""

from datetime import datetime

from dask_k8s_controller import Create, Delete, Patch, Plan, Record
from dask_k8s_crds import DaskJob
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job import desired
from dask_k8s_job.observe import End, Observed

NOW = 1
"""The deadline, in seconds, that ends a Job at once."""


def proceed(job: DaskJob, observed: Observed) -> Plan:
    """Make the cluster, and once its scheduler is ready the runner, and once that has a pod the workers.

    So a quota that is too small for all leaves out workers, and no runner finds nobody at the other end.
    """
    if job.spec.suspend:
        return _suspend(job, observed)
    create, patch = [], []
    missing = observed.cluster is None and DASK_CLUSTERS not in observed.expected
    if missing and (own := desired.cluster(job)) is not None:
        create.append(Create(DASK_CLUSTERS, own))
    if (address := observed.address) is not None:
        if observed.runner is None and JOBS not in observed.expected:
            create.append(Create(JOBS, desired.runner(job, address)))
        elif observed.runner is not None and observed.runner.value.suspended:
            patch.append(Patch(observed.runner.key, {"spec": {"suspend": False}}))
    if observed.cluster is not None and _waits(job, observed):
        change = {
            # With the version, the server refuses this where somebody scaled the cluster meanwhile.
            "metadata": {"resourceVersion": str(observed.cluster.version)},
            "spec": {"worker": {"replicas": desired.workers(job)}},
        }
        patch.append(Patch(observed.cluster.key, change))
    return Plan(create=tuple(create), patch=tuple(patch))


def _waits(job: DaskJob, observed: Observed) -> bool:
    """Whether the workers are held back and need not be any more: nobody has changed the cluster yet."""
    held = observed.cluster
    if held is None or held.deleting or held.value["metadata"].get("generation") != 1:
        return False
    return desired.workers(job) > 0 and any(
        not pod.value.finished and not pod.deleting for pod in observed.pods
    )


def _suspend(job: DaskJob, observed: Observed) -> Plan:
    """Have no pods: the runner is suspended, and the cluster goes."""
    patch = []
    runner = observed.runner
    if runner is not None and not runner.value.suspended and runner.value.end is None:
        patch.append(Patch(runner.key, {"spec": {"suspend": True}}))
    return Plan(patch=tuple(patch), delete=_without_cluster(job, observed))


def tidy(job: DaskJob, observed: Observed, end: End) -> Plan:
    """After the end: the cluster goes, as the user wants it; a runner that still runs is ended."""
    cleanup = job.spec.cluster_cleanup
    goes = cleanup == "Always" or (cleanup == "OnSuccess" and end.succeeded)
    patch = []
    runner = observed.runner
    if runner is not None and not runner.deleting and _runs(runner):
        patch.append(Patch(runner.key, {"spec": {"activeDeadlineSeconds": NOW}}))
    return Plan(patch=tuple(patch), delete=_without_cluster(job, observed) if goes else ())


def _runs(runner: Record) -> bool:
    return runner.value.end is None and not runner.value.suspended and runner.value.deadline != NOW


def _without_cluster(job: DaskJob, observed: Observed) -> tuple[Delete, ...]:
    own = observed.cluster
    if job.spec.cluster is None or own is None or own.deleting:
        return ()
    return (Delete(own.key, own.uid),)


def lifetime(job: DaskJob, end: End, now: datetime) -> float | None:
    """Return the seconds that a job which has ended may stay; None: for ever."""
    seconds = job.spec.ttl_seconds_after_finished
    return None if seconds is None else seconds - (now - end.time).total_seconds()
