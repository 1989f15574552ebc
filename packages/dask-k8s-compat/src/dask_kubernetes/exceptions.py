"""Where dask-kubernetes has its exceptions."""

from dask_k8s_client import CrashLoopBackOffError, SchedulerStartupError, ValidationError

__all__ = ["CrashLoopBackOffError", "SchedulerStartupError", "ValidationError"]
