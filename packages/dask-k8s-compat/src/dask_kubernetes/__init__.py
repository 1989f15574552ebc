"""The import path of dask-kubernetes for dask-k8s-client. Its only code of its own are error messages."""

from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn


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


def __getattr__(name: str) -> NoReturn:
    """Explain the import of a class from before the operator."""
    if name in ("KubeCluster", "HelmCluster"):
        raise ImportError(
            f"the {name} from before the operator is no more: "
            "use `from dask_kubernetes.operator import KubeCluster`"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_refuse_both()
