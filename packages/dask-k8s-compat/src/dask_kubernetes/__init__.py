"""The import path of dask-kubernetes; what it leads to is dask-k8s-client's."""

from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn


def _refuse_company() -> None:
    """Two distributions with one module: whose files are here is a matter of chance."""
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
    """Say that it is no more, and what there is."""
    if name in ("KubeCluster", "HelmCluster"):
        raise ImportError(
            f"the {name} from before the operator is no more: "
            "use `from dask_kubernetes.operator import KubeCluster`"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_refuse_company()
