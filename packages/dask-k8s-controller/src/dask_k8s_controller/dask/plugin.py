"""The built-in plugin for DaskCluster and DaskWorkerGroup, with the same interface as all plugins."""

from typing import Any

from dask_k8s_controller.dask.cluster.observe import trim_service
from dask_k8s_controller.dask.cluster.reconcile import reconcile as reconcile_cluster
from dask_k8s_controller.dask.pods import view
from dask_k8s_controller.dask.workergroup.reconcile import reconcile as reconcile_group
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record, Watched
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler, Rule
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, manifests, resources
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES


def cluster_name(group: Body) -> str | None:
    """Return the name of a worker group's cluster, by which the cache finds the group."""
    name: Any = (group.get("spec") or {}).get("cluster")
    return name if isinstance(name, str) else None


def cluster_of_group(group: Record, world: World) -> list[Key]:  # noqa: ARG001
    """Return the cluster that a worker group belongs to."""
    return [Key(DASK_CLUSTERS, group.key.namespace, group.indexed)] if group.indexed else []


def groups_of_cluster(cluster: Record, world: World) -> list[Key]:
    """Return the worker groups that belong to a cluster."""
    return [group.key for group in world.find(DASK_WORKER_GROUPS, cluster.key.namespace, cluster.key.name)]


PLUGIN = Plugin(
    watches=(
        Watched(DASK_CLUSTERS),
        Watched(DASK_WORKER_GROUPS, index=cluster_name),
        Watched(PODS, selector=labels.CLUSTER_NAME, trim=view.trim),
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
        # No other right: the response to a patch, too, would contain a Secret of a user.
        Rule("", ("secrets",), ("create",)),
        Rule("", ("events",), ("create", "patch")),
    ),
)
