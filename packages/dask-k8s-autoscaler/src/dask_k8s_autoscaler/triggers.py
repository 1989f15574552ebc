"""Triggers: which autoscalers to reconcile after another object has changed."""

from dask_k8s_controller import Key, Record, World
from dask_k8s_crds.resources import DASK_AUTOSCALERS


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
