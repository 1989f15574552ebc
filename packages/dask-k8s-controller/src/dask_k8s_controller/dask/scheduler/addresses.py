"""The addresses of a cluster's scheduler, by the ports of its Service. Pure."""

from dask_k8s_crds import DaskCluster, names
from dask_k8s_crds.scheduler_ports import COMM, DASHBOARD, Role, SchedulerPorts


def scheduler_address(cluster: DaskCluster, domain: str) -> str:
    """Return the address for workers and clients inside Kubernetes."""
    port = _port(cluster, _ports(cluster), COMM)
    return names.scheduler_address(cluster.metadata.name, _namespace(cluster), port=port, domain=domain)


def dashboard_address(cluster: DaskCluster, domain: str) -> str | None:
    """Return the URL of the dashboard inside Kubernetes; None if the scheduler has none."""
    ports = _ports(cluster)
    if not ports.has_dashboard:
        return None
    port = _port(cluster, ports, DASHBOARD)
    url = names.dashboard_address(cluster.metadata.name, _namespace(cluster), port=port, domain=domain)
    return f"{url}{ports.prefix}"


def _namespace(cluster: DaskCluster) -> str:
    return cluster.metadata.namespace or "default"


def _ports(cluster: DaskCluster) -> SchedulerPorts:
    return SchedulerPorts.of(cluster.spec.scheduler.spec)


def _port(cluster: DaskCluster, ports: SchedulerPorts, role: Role) -> int:
    return ports.service_port(role, cluster.spec.scheduler.service) or role.default
