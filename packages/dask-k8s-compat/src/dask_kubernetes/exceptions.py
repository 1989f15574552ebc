"""The exceptions, where dask-kubernetes has them."""

from dask_k8s_client import CrashLoopBackOffError, SchedulerStartupError, ValidationError

__all__ = ["CrashLoopBackOffError", "SchedulerStartupError", "ValidationError"]
