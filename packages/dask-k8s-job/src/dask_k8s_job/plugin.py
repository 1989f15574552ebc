"""The plugin: CRD, watches, reconciler and RBAC rules of DaskJob."""

from dask_k8s_controller import Plugin, Reconciler, Rule, Watched
from dask_k8s_crds import DaskJob, labels, manifests, resources
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.observe import cluster_of, trim_runner
from dask_k8s_job.reconcile import reconcile
from dask_k8s_job.triggers import jobs_for_cluster, jobs_for_pod

PLUGIN = Plugin(
    watches=(
        Watched(DASK_JOBS, index=cluster_of),
        Watched(JOBS, selector=f"{labels.COMPONENT}={labels.JOB_RUNNER}", trim=trim_runner),
    ),
    reconcilers=(
        Reconciler(DASK_JOBS, reconcile, triggers={DASK_CLUSTERS: jobs_for_cluster, PODS: jobs_for_pod}),
    ),
    crds=(manifests.crd(DaskJob),),
    rules=(
        Rule(resources.GROUP, (resources.DASK_JOBS.plural,), ("delete",)),
        Rule(resources.GROUP, (resources.DASK_CLUSTERS.plural,), ("get", "create", "patch", "delete")),
        Rule(JOBS.group, (JOBS.plural,), ("get", "create", "patch")),
    ),
)
