"""What a job may start, and what its status records before. Pure.

A job runs once: its runner is created suspended, and starts only after the status names its uid and that of
the job's own cluster. The status keeps the uid of the runner for ever, so no other runner starts, whatever is
deleted, whenever the controller stops and whatever an outdated cache shows. It keeps the uid of the cluster
until the job is suspended, so no other cluster is created while the runner runs.
"""

from typing import NamedTuple

from dask_k8s_controller import Record
from dask_k8s_crds import DaskJob, labels
from dask_k8s_job import desired
from dask_k8s_job.observe import Observed


class Recorded(NamedTuple):
    """The uids in the status of a job: of its runner, and of the cluster that the runner starts on."""

    runner: str | None
    cluster: str | None


def outdated_runner(job: DaskJob, observed: Observed) -> Record | None:
    """Return the runner if it has never started, and the job was edited since the runner was created."""
    runner = observed.runner
    if runner is None or runner.deleting or not runner.value.suspended or observed.status.runner_uid:
        return None
    return None if runner.value.digest == desired.runner_digest(job) else runner


def outdated_cluster(job: DaskJob, observed: Observed) -> Record | None:
    """Return the own cluster if no runner has started on it, and the job was edited since its creation."""
    cluster = observed.live_cluster
    if cluster is None or job.spec.cluster is None or observed.runner_may_run or observed.cluster_recorded:
        return None
    digest = (cluster.value["metadata"].get("annotations") or {}).get(labels.TEMPLATE_DIGEST)
    return None if digest == desired.cluster_digest(job) else cluster


def may_start(job: DaskJob, observed: Observed) -> bool:
    """Whether the status names all that the runner needs to start."""
    on_recorded_cluster = job.spec.cluster is None or observed.cluster_recorded
    return on_recorded_cluster and observed.runner_recorded and observed.scheduler_address is not None


def recorded(job: DaskJob, observed: Observed) -> Recorded:
    """Return the uids to write to the status."""
    before, runner, cluster = observed.status, observed.runner, observed.live_cluster
    ready = (
        not job.spec.suspend
        and observed.scheduler_address is not None
        and outdated_runner(job, observed) is None
        and outdated_cluster(job, observed) is None
    )
    starts = runner is not None and not runner.deleting and (ready or observed.runner_may_run)
    runner_uid = runner.uid if runner is not None and starts else None
    cluster_uid = cluster.uid if cluster is not None and job.spec.cluster and starts else None
    if job.spec.suspend and not observed.runner_may_run:
        return Recorded(before.runner_uid, None)
    return Recorded(before.runner_uid or runner_uid, before.cluster_uid or cluster_uid)


def new_cluster(job: DaskJob, observed: Observed) -> Record | None:
    """Return the cluster whose uid is written to the status next, None if it is there already."""
    uid = recorded(job, observed).cluster
    return None if uid is None or uid == observed.status.cluster_uid else observed.cluster
