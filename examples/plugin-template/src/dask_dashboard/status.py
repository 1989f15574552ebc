"""The status of a DaskDashboard, as a pure function: no await, no clock, no environment."""

from datetime import datetime

from dask_dashboard.kind import DashboardStatus, DaskDashboard
from dask_k8s_crds import Condition
from dask_k8s_crds.conditions import dated


def report(dashboard: DaskDashboard, service: str, now: datetime, *, has_cluster: bool) -> DashboardStatus:
    """Say which service there is, and whether it leads anywhere."""
    generation, cluster = dashboard.metadata.generation, dashboard.spec.cluster
    ready = Condition(
        type="Ready",
        status="True" if has_cluster else "False",
        reason="Served" if has_cluster else "ClusterNotFound",
        message=f"service {service} leads to it" if has_cluster else f"there is no DaskCluster {cluster}",
        observed_generation=generation,
    )
    conditions = dated(dashboard.status.conditions, [ready], now=now)
    return DashboardStatus(service=service, observed_generation=generation, conditions=conditions)
