"""Dask clusters on Kubernetes, from Python: the public face. Importing it sets defaults, no more.

What it offers is imported when it is asked for: the `dask` command loads this package each time that it runs.
"""

from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import dask.config
import yaml

if TYPE_CHECKING:
    from dask_k8s_client.exceptions import (
        CrashLoopBackOffError,
        SchedulerStartupError,
        SchedulerStartupTimeout,
        ValidationError,
    )
    from dask_k8s_client.jobs.run import JobOutcome, run_job
    from dask_k8s_client.manager.cluster import KubeCluster
    from dask_k8s_client.options import CreateMode
    from dask_k8s_client.specs.cluster import make_cluster_spec, make_scheduler_spec, make_worker_spec
    from dask_k8s_client.specs.job import make_job_spec

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

_ROOMS = {
    "CrashLoopBackOffError": "exceptions",
    "CreateMode": "options",
    "JobOutcome": "jobs.run",
    "KubeCluster": "manager.cluster",
    "SchedulerStartupError": "exceptions",
    "SchedulerStartupTimeout": "exceptions",
    "ValidationError": "exceptions",
    "make_cluster_spec": "specs.cluster",
    "make_job_spec": "specs.job",
    "make_scheduler_spec": "specs.cluster",
    "make_worker_spec": "specs.cluster",
    "run_job": "jobs.run",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


dask.config.update_defaults(yaml.safe_load((files(__name__) / "kubernetes.yaml").read_text(encoding="utf-8")))
