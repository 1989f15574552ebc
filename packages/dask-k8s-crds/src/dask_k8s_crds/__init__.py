"""Dask's custom resources for Kubernetes: models, names, labels, conditions and CRD manifests.

This package does no I/O, except that it reads its own data and the command `dask-k8s-crds` prints.
"""

from dask_k8s_crds.autoscaler import DaskAutoscaler, DaskAutoscalerStatus
from dask_k8s_crds.cluster import DaskCluster, DaskClusterStatus
from dask_k8s_crds.conditions import Condition
from dask_k8s_crds.custom_resource import CustomResource
from dask_k8s_crds.job import DaskJob, DaskJobStatus
from dask_k8s_crds.validation import InvalidObject, Problem
from dask_k8s_crds.workergroup import DaskWorkerGroup, DaskWorkerGroupStatus

__all__ = [
    "Condition",
    "CustomResource",
    "DaskAutoscaler",
    "DaskAutoscalerStatus",
    "DaskCluster",
    "DaskClusterStatus",
    "DaskJob",
    "DaskJobStatus",
    "DaskWorkerGroup",
    "DaskWorkerGroupStatus",
    "InvalidObject",
    "Problem",
]
