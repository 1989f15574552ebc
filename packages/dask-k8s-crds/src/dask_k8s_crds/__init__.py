"""Dask's custom resources for Kubernetes: what all packages speak of.

Models, names, labels, conditions and CRD manifests live here. No I/O but package data and the CLI's printing.
"""

from dask_k8s_crds.autoscaler import DaskAutoscaler, DaskAutoscalerStatus
from dask_k8s_crds.cluster import DaskCluster, DaskClusterStatus
from dask_k8s_crds.conditions import Condition
from dask_k8s_crds.custom_resource import CustomResource
from dask_k8s_crds.job import DaskJob, DaskJobStatus
from dask_k8s_crds.problems import InvalidObject, Problem
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
