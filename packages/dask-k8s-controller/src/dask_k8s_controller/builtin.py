"""The built-in plugin: DaskCluster and DaskWorkerGroup, through the same door as everybody's."""

from __future__ import annotations

from dask_k8s_controller import pods
from dask_k8s_controller.agent import delivery
from dask_k8s_controller.cluster.observe import cluster_of_group, trim_service, wake_cluster, wake_groups
from dask_k8s_controller.cluster.reconcile import reconcile as reconcile_cluster
from dask_k8s_controller.plugin import Plugin, Reconciler, Rule, Watched
from dask_k8s_controller.workergroup.reconcile import reconcile as reconcile_group
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, manifests, resources
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES

PLUGIN = Plugin(
    watches=(
        Watched(DASK_CLUSTERS),
        Watched(DASK_WORKER_GROUPS, index=cluster_of_group),
        Watched(PODS, selector=labels.CLUSTER_NAME, trim=pods.trim),
        Watched(SECRETS, selector=f"{labels.COMPONENT}={labels.AGENT}", trim=delivery.trim),
        Watched(SERVICES, selector=labels.CLUSTER_NAME, trim=trim_service),
    ),
    reconcilers=(
        Reconciler(DASK_CLUSTERS, reconcile_cluster, wakes={DASK_WORKER_GROUPS: wake_cluster}),
        Reconciler(DASK_WORKER_GROUPS, reconcile_group, wakes={DASK_CLUSTERS: wake_groups}),
    ),
    crds=(manifests.crd(DaskCluster), manifests.crd(DaskWorkerGroup)),
    rules=(
        Rule(resources.GROUP, ("daskclusters",), ("get", "patch", "delete")),
        Rule(resources.GROUP, ("daskworkergroups",), ("get", "create", "patch")),
        Rule("", ("pods", "services"), ("get", "create", "patch", "delete")),
        # Only those of agents are listed and watched. Whoever may create pods can read any Secret by them.
        Rule("", ("secrets",), ("get", "create", "patch")),
        Rule("", ("events",), ("create", "patch")),
    ),
)
