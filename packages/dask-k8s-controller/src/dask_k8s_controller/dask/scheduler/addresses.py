"""The addresses of a cluster's scheduler, by the ports of its Service. Pure."""

from dask_k8s_crds import DaskCluster, names


def scheduler_address(cluster: DaskCluster, domain: str) -> str:
    """Return the address for workers and clients inside Kubernetes."""
    port = _port(cluster, "tcp-comm", names.SCHEDULER_PORT)
    return names.scheduler_address(cluster.metadata.name, _namespace(cluster), port=port, domain=domain)


def dashboard_address(cluster: DaskCluster, domain: str) -> str:
    """Return the URL of the dashboard inside Kubernetes."""
    port = _port(cluster, "http-dashboard", names.DASHBOARD_PORT)
    return names.dashboard_address(cluster.metadata.name, _namespace(cluster), port=port, domain=domain)


def _namespace(cluster: DaskCluster) -> str:
    return cluster.metadata.namespace or "default"


def _port(cluster: DaskCluster, name: str, default: int) -> int:
    ports = cluster.spec.scheduler.service.get("ports") or ()
    return next((port["port"] for port in ports if port.get("name") == name), default)
