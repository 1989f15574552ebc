"""A second path to the same names, as in dask-kubernetes."""

from dask_kubernetes.operator import (
    CreateMode,
    KubeCluster,
    make_cluster_spec,
    make_scheduler_spec,
    make_worker_spec,
)

__all__ = ["CreateMode", "KubeCluster", "make_cluster_spec", "make_scheduler_spec", "make_worker_spec"]
