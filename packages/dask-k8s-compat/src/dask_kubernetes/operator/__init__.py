"""The public API of the client, where dask-kubernetes has it."""

from dask_k8s_client import CreateMode, KubeCluster, make_cluster_spec, make_scheduler_spec, make_worker_spec
from dask_k8s_client.discovery import discover

__all__ = [
    "CreateMode",
    "KubeCluster",
    "discover",
    "make_cluster_spec",
    "make_scheduler_spec",
    "make_worker_spec",
]
