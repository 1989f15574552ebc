"""Objects as the API server sends them, and records of them, for tables of cases. No I/O."""

from dataclasses import replace
from typing import Any

from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.cache import Cache, Record
from dask_k8s_controller.testing import objects
from dask_k8s_controller.testing.objects import NOW, ago, cluster, group, metadata, owned_by
from dask_k8s_crds.resources import Resource

__all__ = [
    "NOW",
    "WATCHES",
    "ago",
    "cluster",
    "group",
    "metadata",
    "owned_by",
    "pod",
    "record",
    "service",
]

WATCHES = {watched.resource: replace(watched, selector="") for watched in plugin.PLUGIN.watches}
OF_CLUSTER = owned_by("DaskCluster", "c", "uid-of-cluster")


def pod(
    name: str,
    *,
    created: float = 60,
    deletion: float | None = None,
    owner: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A pod that was made ``created`` seconds ago; ``deletion`` seconds ago its grace period ended."""
    own = {
        "creationTimestamp": ago(created),
        "deletionTimestamp": None if deletion is None else ago(deletion),
        "ownerReferences": [owner] if owner else None,
    }
    return objects.pod(name, **own | more) | ({"spec": spec} if spec else {})


STARTING = {
    "phase": "Pending",
    "spec": {"nodeName": "node", "containers": [{"name": "dask", "image": "dask:1"}]},
}
"""Arguments of `pod`: its node prepares it, or has started it and not reported that."""


def service(name: str = "c-scheduler", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, **{"ownerReferences": [OF_CLUSTER]} | more),
        "spec": {"type": "ClusterIP"},
    }


def record(resource: Resource, body: dict[str, Any]) -> Record:
    """What the cache makes of a body."""
    return Cache(WATCHES, lambda _: None).record(resource, body)


LOAD = {
    "resources": {"GPU": 1},
    "asked": {"GPU": 3},
    "busy": {"c-gpu": 1},
    "workers": 2,
    "idle": 1,
    "threads": 4,
    "processing": 3,
    "occupancy": 1.5,
    "memory": 10,
    "managed": 5,
    "memory_limit": 20,
}
"""A load in the answer `demand` of an agent."""
