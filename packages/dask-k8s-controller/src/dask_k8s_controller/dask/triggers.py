"""Which keys to reconcile after a cluster or a worker group has changed. Pure."""

from typing import Any

from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS


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
