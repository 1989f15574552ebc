"""The plugin as a value: DaskAutoscaler, through the same door as everybody's."""

from dask_k8s_autoscaler.observe import cluster_of
from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_controller import Key, Plugin, Reconciler, Record, Rule, Watched, World
from dask_k8s_crds import DaskAutoscaler, manifests, resources
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS


def of_cluster(cluster: Record, world: World) -> list[Key]:
    """A cluster rings the autoscalers that name it."""
    return _autoscalers(cluster.key.namespace, cluster.key.name, world)


def of_group(group: Record, world: World) -> list[Key]:
    """A group rings the autoscalers of its cluster."""
    return _autoscalers(group.key.namespace, group.indexed, world)


def of_autoscaler(autoscaler: Record, world: World) -> list[Key]:
    """An autoscaler rings the others of its cluster: when it goes, another may act."""
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
                DASK_CLUSTERS: of_cluster,
                DASK_WORKER_GROUPS: of_group,
                DASK_AUTOSCALERS: of_autoscaler,
            },
        ),
    ),
    crds=(manifests.crd(DaskAutoscaler),),
    rules=(
        Rule(resources.GROUP, (resources.DASK_AUTOSCALERS.plural,), ("get", "patch")),
        Rule(resources.GROUP, (resources.DASK_WORKER_GROUPS.plural,), ("patch",)),
        # Asked for before an autoscaler is adopted; an autoscaler is asked for before it scales.
        Rule(resources.GROUP, (resources.DASK_CLUSTERS.plural,), ("get",)),
    ),
)
