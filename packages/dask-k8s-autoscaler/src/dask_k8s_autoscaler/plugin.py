"""The plugin: CRD, watches, reconciler and RBAC rules of DaskAutoscaler, and what triggers its reconcile."""

from dask_k8s_autoscaler.observe import cluster_of
from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_controller import Key, Plugin, Reconciler, Record, Rule, Watched, World
from dask_k8s_crds import DaskAutoscaler, manifests
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS, GROUP


def autoscalers_for_cluster(cluster: Record, world: World) -> list[Key]:
    """Return the autoscalers of a cluster."""
    return _autoscalers(cluster.key.namespace, cluster.key.name, world)


def autoscalers_for_group(group: Record, world: World) -> list[Key]:
    """Return the autoscalers of the cluster that a worker group belongs to."""
    return _autoscalers(group.key.namespace, group.indexed, world)


def other_autoscalers(autoscaler: Record, world: World) -> list[Key]:
    """Return the other autoscalers of the same cluster, one of which scales it after this one is deleted."""
    keys = _autoscalers(autoscaler.key.namespace, autoscaler.indexed, world)
    return [key for key in keys if key != autoscaler.key]


def _autoscalers(namespace: str, cluster: str | None, world: World) -> list[Key]:
    return [record.key for record in world.find(DASK_AUTOSCALERS, namespace, cluster)] if cluster else []


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
