"""Objects as the API server sends them, and records of them, for tables of cases. No I/O."""

import base64
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from dask_k8s_controller.dask import pods
from dask_k8s_controller.dask.cluster.observe import cluster_of_group, trim_service
from dask_k8s_controller.dask.scheduler import agent_delivery
from dask_k8s_controller.runtime.cache import Cache, Record
from dask_k8s_controller.runtime.watched import Watched
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES, Resource

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WATCHES = {
    watched.resource: watched
    for watched in (
        Watched(DASK_CLUSTERS),
        Watched(DASK_WORKER_GROUPS, index=cluster_of_group),
        Watched(PODS, trim=pods.trim),
        Watched(SECRETS, trim=agent_delivery.trim),
        Watched(SERVICES, trim=trim_service),
    )
}
_versions = count(1)


def ago(seconds: float) -> str:
    """A time as the API server writes it."""
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(kind: str, name: str, uid: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def metadata(name: str, **more: Any) -> dict[str, Any]:
    version = str(next(_versions))
    return {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-of-{name}",
        "resourceVersion": version,
        "creationTimestamp": ago(60),
        **{key: value for key, value in more.items() if value is not None},
    }


def pod(
    name: str,
    *,
    phase: str = "Running",
    ready: bool = False,
    created: float = 60,
    deletion: float | None = None,
    component: str = labels.WORKER,
    owner: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A pod that was made ``created`` seconds ago; ``deletion`` seconds ago its grace period ended."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(
            name,
            creationTimestamp=ago(created),
            deletionTimestamp=None if deletion is None else ago(deletion),
            labels={labels.CLUSTER_NAME: "c", labels.COMPONENT: component},
            ownerReferences=[owner] if owner else None,
        )
        | more,
        "spec": spec or {"containers": [{"name": "dask", "image": "dask:1"}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def cluster(name: str = "c", *, replicas: int | None = 3, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": metadata(name, generation=1, uid="uid-of-cluster") | more,
        "spec": {
            "scheduler": {
                "spec": {"containers": [{"name": "scheduler", "args": ["dask", "scheduler"]}]},
                "service": {"ports": [{"name": "tcp-comm", "port": 8786}]},
            },
            "worker": {
                **({} if replicas is None else {"replicas": replicas}),
                "spec": {"containers": [{"name": "worker", "args": ["dask", "worker"]}]},
            },
        },
    }


def group(name: str = "c-default", *, replicas: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskWorkerGroup",
        "metadata": metadata(name, generation=1) | more,
        "spec": {
            "cluster": "c",
            "worker": {
                "replicas": replicas,
                "spec": {"containers": [{"name": "worker", "args": ["dask", "worker"]}]},
            },
        },
    }


def service(name: str = "c-scheduler", **more: Any) -> dict[str, Any]:
    owner = owned_by("DaskCluster", "c", "uid-of-cluster")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, ownerReferences=[owner]) | more,
        "spec": {"type": "ClusterIP"},
    }


def agent(token: str = "token", file: str | None = None, **more: Any) -> dict[str, Any]:
    """The Secret of an agent; ``file`` other than that of this controller."""
    owner = owned_by("DaskCluster", "c", "uid-of-cluster")
    data = agent_delivery.data(token)
    if file is not None:
        data[agent_delivery.FILE] = base64.b64encode(file.encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata("c-agent", ownerReferences=[owner]) | more,
        "data": data,
    }


def record(resource: Resource, body: dict[str, Any]) -> Record:
    """What the cache makes of a body."""
    return Cache(WATCHES, lambda _: None).record(resource, body)
