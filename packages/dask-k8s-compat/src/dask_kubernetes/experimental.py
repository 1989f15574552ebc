"""The path of KubeCluster before `dask_kubernetes.operator`; recipes of RAPIDS and Flyte still name it."""

import warnings

from dask_kubernetes.operator import KubeCluster, make_cluster_spec

warnings.warn(
    "dask_kubernetes.experimental is dask_kubernetes.operator now: import KubeCluster from there",
    FutureWarning,
    stacklevel=2,
)

__all__ = ["KubeCluster", "make_cluster_spec"]
