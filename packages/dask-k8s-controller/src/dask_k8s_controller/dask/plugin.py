"""The built-in plugin for DaskCluster and DaskWorkerGroup, with the same interface as all plugins."""

from dask_k8s_controller.dask.cluster.observe import trim_service
from dask_k8s_controller.dask.cluster.reconcile import reconcile as reconcile_cluster
from dask_k8s_controller.dask.pods import view
from dask_k8s_controller.dask.scheduler import agent_delivery
from dask_k8s_controller.dask.triggers import cluster_name, cluster_of_group, groups_of_cluster
from dask_k8s_controller.dask.workergroup.reconcile import reconcile as reconcile_group
from dask_k8s_controller.runtime.cache import Watched
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler, Rule
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, manifests, resources
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES

PLUGIN = Plugin(
    watches=(
        Watched(DASK_CLUSTERS),
        Watched(DASK_WORKER_GROUPS, index=cluster_name),
        Watched(PODS, selector=labels.CLUSTER_NAME, trim=view.trim),
        Watched(SECRETS, selector=f"{labels.COMPONENT}={labels.AGENT}", trim=agent_delivery.trim),
        Watched(SERVICES, selector=labels.CLUSTER_NAME, trim=trim_service),
    ),
    reconcilers=(
        Reconciler(DASK_CLUSTERS, reconcile_cluster, triggers={DASK_WORKER_GROUPS: cluster_of_group}),
        Reconciler(DASK_WORKER_GROUPS, reconcile_group, triggers={DASK_CLUSTERS: groups_of_cluster}),
    ),
    crds=(manifests.crd(DaskCluster), manifests.crd(DaskWorkerGroup)),
    rules=(
        Rule(resources.GROUP, ("daskclusters",), ("get", "patch", "delete")),
        Rule(resources.GROUP, ("daskworkergroups",), ("get", "create", "patch")),
        Rule("", ("pods", "services"), ("get", "create", "patch", "delete")),
        # Only agents' Secrets are listed and watched. Whoever may create pods can mount any Secret in them.
        Rule("", ("secrets",), ("get", "create", "patch")),
        Rule("", ("events",), ("create", "patch")),
    ),
)
