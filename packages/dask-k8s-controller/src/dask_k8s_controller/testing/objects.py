"""Manifests as the API server sends them, for tables of cases; ``more`` is metadata. No I/O."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from dask_k8s_crds import labels
from dask_k8s_crds.resources import API_VERSION

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""The time at which tests run."""
_versions = count(1)

Manifest = dict[str, Any]


def ago(seconds: float) -> str:
    """Return the time this many seconds before `NOW`, in the format of manifests."""
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(name: str, **more: Any) -> Manifest:
    """Return the metadata of an object in the namespace ``ns``; a field that is None is left out."""
    known = {"name": name, "namespace": "ns", "uid": f"uid-of-{name}", "creationTimestamp": ago(60)}
    fields = known | {"resourceVersion": str(next(_versions))} | more
    return {key: value for key, value in fields.items() if value is not None}


def owned_by(kind: str, name: str, uid: str, api_version: str = API_VERSION) -> Manifest:
    """Return the owner reference of an object to its controller."""
    reference = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
    return {**reference, "controller": True, "blockOwnerDeletion": True}


def cluster(name: str = "c", *, replicas: int | None = 3, **more: Any) -> Manifest:
    """Return a DaskCluster with the uid ``uid-of-cluster``."""
    scheduler = {"containers": [{"name": "scheduler", "args": ["dask", "scheduler"]}]}
    service = {"ports": [{"name": "tcp-comm", "port": 8786}]}
    worker = {"spec": {"containers": [{"name": "worker", "args": ["dask", "worker"]}]}}
    sized = worker if replicas is None else {"replicas": replicas, **worker}
    spec = {"scheduler": {"spec": scheduler, "service": service}, "worker": sized}
    found = metadata(name, **{"generation": 1, "uid": "uid-of-cluster"} | more)
    return {"apiVersion": API_VERSION, "kind": "DaskCluster", "metadata": found, "spec": spec}


def group(name: str = "c-default", *, replicas: int = 3, **more: Any) -> Manifest:
    """Return a DaskWorkerGroup of the cluster ``c``."""
    worker = {"containers": [{"name": "worker", "args": ["dask", "worker"]}]}
    spec = {"cluster": "c", "worker": {"replicas": replicas, "spec": worker}}
    found = metadata(name, **{"generation": 1} | more)
    return {"apiVersion": API_VERSION, "kind": "DaskWorkerGroup", "metadata": found, "spec": spec}


def pod(
    name: str, *, phase: str = "Running", ready: bool = False, component: str = labels.WORKER, **more: Any
) -> Manifest:
    """Return a pod of the cluster ``c``."""
    own = {"labels": {labels.CLUSTER_NAME: "c", labels.COMPONENT: component}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, **own | more),
        "spec": {"containers": [{"name": "dask", "image": "dask:1"}]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }
