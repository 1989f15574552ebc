"""The plugin as a value: DaskJob, through the same door as everybody's."""

from dask_k8s_controller import Plugin, Reconciler, Rule, Watched
from dask_k8s_crds import DaskJob, labels, manifests, resources
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.observe import cluster_of, of_cluster, of_pod, trim_runner
from dask_k8s_job.reconcile import reconcile

PLUGIN = Plugin(
    watches=(
        Watched(DASK_JOBS, index=cluster_of),
        Watched(JOBS, selector=f"{labels.COMPONENT}={labels.JOB_RUNNER}", trim=trim_runner),
    ),
    reconcilers=(Reconciler(DASK_JOBS, reconcile, triggers={DASK_CLUSTERS: of_cluster, PODS: of_pod}),),
    crds=(manifests.crd(DaskJob),),
    rules=(
        Rule(resources.GROUP, (resources.DASK_JOBS.plural,), ("delete",)),
        Rule(resources.GROUP, (resources.DASK_CLUSTERS.plural,), ("get", "create", "patch", "delete")),
        Rule(JOBS.group, (JOBS.plural,), ("get", "create", "patch")),
    ),
)
