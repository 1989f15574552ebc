"""The settings of a controller, as one value. The command line reads flags, environment and file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a controller, as the options of ``dask-k8s-controller run`` describe them.

    ``namespaces`` is empty for all, ``health_address`` for none, ``lease_namespace`` for that of the pod.
    """

    namespaces: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    api_concurrency: int = 32
    api_rate: float = 1000.0
    watch_seconds: int = 240
    health_address: str = ""
    leader_elect: bool = False
    lease_name: str = "dask-k8s-controller"
    lease_namespace: str = ""
