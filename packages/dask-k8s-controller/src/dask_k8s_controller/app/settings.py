"""The settings of a controller, as one value. The command line reads flags, environment and file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a controller.

    Attributes:
        namespaces: The namespaces to serve; empty for all.
        cluster_domain: The DNS domain of the Kubernetes cluster.
        api_concurrency: How many writes to the API server run at the same time.
        api_rate: How many writes to the API server start per second.
        watch_seconds: How long one watch lasts.
        health_address: ``host:port`` of the health endpoints; empty for none.
        leader_elect: Whether to reconcile only while holding a Lease.
        lease_name: The name of the Lease.
        lease_namespace: The namespace of the Lease; empty for the namespace that the controller runs in.
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
