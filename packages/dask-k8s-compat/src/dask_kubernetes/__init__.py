"""The import path of dask-kubernetes for dask-k8s-client."""

import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__version__ = version("dask-k8s-compat")

_BEFORE_THE_OPERATOR = {
    "HelmCluster": "use `from dask_kubernetes.operator import KubeCluster`",
    "make_pod_spec": "use `from dask_kubernetes.operator import make_cluster_spec`",
    "make_pod_from_dict": "pass a DaskCluster to KubeCluster as custom_cluster_spec",
    "clean_pod_template": "pass a DaskCluster to KubeCluster as custom_cluster_spec",
}
"""Names from before the operator, and what to do instead."""


def _refuse_both() -> None:
    """Fail if dask-kubernetes is installed too: both contain this module, so its files may be from either."""
    try:
        other = version("dask-kubernetes")
    except PackageNotFoundError:
        return
    raise ImportError(
        f"dask-kubernetes {other} and dask-k8s-compat are both installed, and both are the module "
        "dask_kubernetes: run `pip uninstall dask-kubernetes`, then "
        "`pip install --force-reinstall --no-deps dask-k8s-compat`"
    )


def __getattr__(name: str) -> Any:
    """Return the operator's KubeCluster with a warning; explain the import of other, older names."""
    if name == "KubeCluster":
        from dask_kubernetes.top_level import KubeCluster  # noqa: PLC0415  # it imports this module

        warnings.warn(
            "dask_kubernetes.KubeCluster is the operator's class now: it has other arguments than the one "
            "before the operator; use `from dask_kubernetes.operator import KubeCluster`",
            FutureWarning,
            stacklevel=2,
        )
        return KubeCluster
    if name in _BEFORE_THE_OPERATOR:
        raise ImportError(f"{name} from before the operator no longer exists: {_BEFORE_THE_OPERATOR[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_refuse_both()
