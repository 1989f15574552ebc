"""A third path to the same names: Prefect's `cluster_class` and other saved configuration name it."""

from dask_kubernetes.operator import (
    CreateMode,
    KubeCluster,
    make_cluster_spec,
    make_scheduler_spec,
    make_worker_spec,
)

__all__ = ["CreateMode", "KubeCluster", "make_cluster_spec", "make_scheduler_spec", "make_worker_spec"]
