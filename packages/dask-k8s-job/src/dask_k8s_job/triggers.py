"""Triggers: which jobs to reconcile after another object has changed."""

from dask_k8s_controller import Key, Record, World
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_JOBS, JOBS


def jobs_for_cluster(cluster: Record, world: World) -> list[Key]:
    """Return the jobs that run on a cluster."""
    return [job.key for job in world.find(DASK_JOBS, cluster.key.namespace, cluster.key.name)]


def jobs_for_pod(pod: Record, world: World) -> list[Key]:
    """Return the job that a pod is a runner of, if any."""
    if pod.value.component != labels.JOB_RUNNER or pod.owner is None:
        return []
    runner = world.get(Key(JOBS, pod.key.namespace, pod.owner.name))
    if runner is None or runner.owner is None:
        return []
    return [Key(DASK_JOBS, pod.key.namespace, runner.owner.name)]
