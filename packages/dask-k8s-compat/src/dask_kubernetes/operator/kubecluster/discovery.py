"""The entry point for dask-ctl, where dask-kubernetes has it."""

from dask_kubernetes.operator import discover

__all__ = ["discover"]
