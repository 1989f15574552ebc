"""Dask clusters on Kubernetes: the public API. Importing it only sets defaults in Dask's configuration.

Each name is imported on first use, because every run of the ``dask`` command imports this package.
"""

from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import dask.config
import yaml

if TYPE_CHECKING:
    from dask_k8s_client.arguments import CreateMode
    from dask_k8s_client.cluster import KubeCluster
    from dask_k8s_client.exceptions import (
        CrashLoopBackOffError,
        SchedulerStartupError,
        SchedulerStartupTimeout,
        ValidationError,
    )
    from dask_k8s_client.jobs import JobOutcome, run_job
    from dask_k8s_client.specs.manifests import (
        make_cluster_spec,
        make_job_spec,
        make_scheduler_spec,
        make_worker_spec,
    )

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

_MODULES = {
    "CrashLoopBackOffError": "exceptions",
    "CreateMode": "arguments",
    "JobOutcome": "jobs",
    "KubeCluster": "cluster",
    "SchedulerStartupError": "exceptions",
    "SchedulerStartupTimeout": "exceptions",
    "ValidationError": "exceptions",
    "make_cluster_spec": "specs.manifests",
    "make_job_spec": "specs.manifests",
    "make_scheduler_spec": "specs.manifests",
    "make_worker_spec": "specs.manifests",
    "run_job": "jobs",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


dask.config.update_defaults(yaml.safe_load((files(__name__) / "kubernetes.yaml").read_text(encoding="utf-8")))
