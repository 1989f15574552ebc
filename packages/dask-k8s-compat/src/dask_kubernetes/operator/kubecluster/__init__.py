"""A second path to the names of `dask_kubernetes.operator`, as in dask-kubernetes."""

from dask_kubernetes.operator import (
    CreateMode,
    KubeCluster,
    discover,
    make_cluster_spec,
    make_scheduler_spec,
    make_worker_spec,
)

__all__ = [
    "CreateMode",
    "KubeCluster",
    "discover",
    "make_cluster_spec",
    "make_scheduler_spec",
    "make_worker_spec",
]
