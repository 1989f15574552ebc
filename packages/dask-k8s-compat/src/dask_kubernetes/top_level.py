"""`dask_kubernetes.KubeCluster`: the operator's class for code that imports it from the top."""

import os
import warnings
from typing import Any

from dask_k8s_client.options import fill_name
from dask_kubernetes.operator import KubeCluster as OperatorCluster


class KubeCluster(OperatorCluster):
    """The operator's ``KubeCluster``, which also takes the name of a Dagster job such as ``__ASSET_JOB``."""

    def __init__(self, *pod_template: Any, name: str | None = None, **kwargs: Any) -> None:
        if pod_template:
            raise TypeError(
                "KubeCluster no longer takes the template of a pod: pass image, resources and env, or a "
                "DaskCluster from make_cluster_spec as custom_cluster_spec"
            )
        super().__init__(name=None if name is None else _allowed_name(name), **kwargs)


def _allowed_name(template: str) -> str:
    """Return a name in lower case and without underscores, with a warning if that changed it."""
    name = fill_name(template, os.environ)
    allowed = name.lower().replace("_", "-").strip("-")
    if allowed != name:
        problem = f"{name!r} is no name for a DaskCluster, so the cluster is called {allowed!r}"
        advice = "pass a name of only a-z, 0-9 and '-'"
        warnings.warn(f"name: {problem}; {advice}", stacklevel=3)
    return allowed
