"""The plugin: CRD, watches, reconciler and RBAC rules of DaskAutoscaler."""

from dask_k8s_autoscaler.observe import cluster_of
from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_autoscaler.triggers import autoscalers_for_cluster, autoscalers_for_group, other_autoscalers
from dask_k8s_controller import Plugin, Reconciler, Rule, Watched
from dask_k8s_crds import DaskAutoscaler, manifests
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS, GROUP

PLUGIN = Plugin(
    watches=(Watched(DASK_AUTOSCALERS, index=cluster_of),),
    reconcilers=(
        Reconciler(
            DASK_AUTOSCALERS,
            Autoscaling().reconcile,
            triggers={
                DASK_CLUSTERS: autoscalers_for_cluster,
                DASK_WORKER_GROUPS: autoscalers_for_group,
                DASK_AUTOSCALERS: other_autoscalers,
            },
        ),
    ),
    crds=(manifests.crd(DaskAutoscaler),),
    rules=(
        Rule(GROUP, (DASK_AUTOSCALERS.plural,), ("get", "patch")),
        Rule(GROUP, (DASK_WORKER_GROUPS.plural,), ("patch",)),
        # `apply` gets the owner of a plan first: the cluster on adoption, the autoscaler on scaling.
        Rule(GROUP, (DASK_CLUSTERS.plural,), ("get",)),
    ),
)
