"""Dask clusters on Kubernetes, from Python: the public face. Importing it sets defaults, no more."""

from importlib.resources import files

import dask.config
import yaml

from dask_k8s_client.cluster import KubeCluster
from dask_k8s_client.exceptions import (
    CrashLoopBackOffError,
    SchedulerStartupError,
    SchedulerStartupTimeout,
    ValidationError,
)
from dask_k8s_client.job_specs import make_job_spec
from dask_k8s_client.jobs import JobOutcome, run_job
from dask_k8s_client.options import CreateMode
from dask_k8s_client.specs import make_cluster_spec, make_scheduler_spec, make_worker_spec

__all__ = [
    "CrashLoopBackOffError",
    "CreateMode",
    "JobOutcome",
    "KubeCluster",
    "SchedulerStartupError",
    "SchedulerStartupTimeout",
    "ValidationError",
    "make_cluster_spec",
    "make_job_spec",
    "make_scheduler_spec",
    "make_worker_spec",
    "run_job",
]

dask.config.update_defaults(yaml.safe_load((files(__name__) / "kubernetes.yaml").read_text(encoding="utf-8")))
