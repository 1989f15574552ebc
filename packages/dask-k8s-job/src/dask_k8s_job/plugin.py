"""The plugin: CRD, watches, reconciler and RBAC rules of DaskJob, and what triggers its reconcile."""

from dask_k8s_controller import Key, Plugin, Reconciler, Record, Rule, Watched, World
from dask_k8s_crds import DaskJob, labels, manifests, resources
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, EVENTS, JOBS, PODS
from dask_k8s_job.observe import cluster_of, job_uid, trim_failed_create, trim_runner
from dask_k8s_job.reconcile import reconcile


def jobs_for_cluster(cluster: Record, world: World) -> list[Key]:
    """Return the jobs that run on a cluster."""
    return [job.key for job in world.find(DASK_JOBS, cluster.key.namespace, cluster.key.name)]


def jobs_for_pod(pod: Record, world: World) -> list[Key]:
    """Return the job that a pod is a runner of, if any."""
    if pod.value.component != labels.JOB_RUNNER or pod.owner is None:
        return []
    runner = world.get(Key(JOBS, pod.key.namespace, pod.owner.name))
    if runner is None or runner.owner is None or not pod.is_controlled_by(runner):
        return []
    return [Key(DASK_JOBS, pod.key.namespace, runner.owner.name)]


def jobs_for_event(event: Record, world: World) -> list[Key]:
    """Return the job whose runner an Event is about, if any."""
    runner = world.get(Key(JOBS, event.key.namespace, event.value.job))
    if runner is None or runner.owner is None or runner.uid != event.indexed:
        return []
    return [Key(DASK_JOBS, event.key.namespace, runner.owner.name)]


PLUGIN = Plugin(
    watches=(
        Watched(DASK_JOBS, index=cluster_of),
        Watched(JOBS, selector=f"{labels.COMPONENT}={labels.JOB_RUNNER}", trim=trim_runner),
        Watched(
            EVENTS,
            fields="involvedObject.kind=Job,reason=FailedCreate",
            trim=trim_failed_create,
            index=job_uid,
        ),
    ),
    reconcilers=(
        Reconciler(
            DASK_JOBS,
            reconcile,
            triggers={DASK_CLUSTERS: jobs_for_cluster, PODS: jobs_for_pod, EVENTS: jobs_for_event},
        ),
    ),
    crds=(manifests.crd(DaskJob),),
    rules=(
        Rule(resources.GROUP, (resources.DASK_JOBS.plural,), ("delete",)),
        Rule(resources.GROUP, (resources.DASK_CLUSTERS.plural,), ("get", "create", "patch", "delete")),
        Rule(JOBS.group, (JOBS.plural,), ("get", "create", "patch", "delete")),
    ),
)
