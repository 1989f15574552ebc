"""What can be set, as one value. Flags, environment and file are read by the command line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a controller.

    ``namespaces`` is empty for all namespaces; ``api_concurrency`` is requests at a time and
    ``api_rate`` requests per second that write; ``watch_seconds`` is how long one watch lasts;
    ``health_address`` is ``host:port`` or empty for none. With ``leader_elect`` it works only while it holds
    the Lease ``lease_name`` in ``lease_namespace`` (empty: where it runs).
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
