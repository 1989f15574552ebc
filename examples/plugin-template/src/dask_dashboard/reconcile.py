"""Reconcile a DaskDashboard: look into the cache, create what is missing, report the status."""

from collections.abc import Mapping
from typing import Any

from dask_dashboard import desired
from dask_dashboard.kind import DASHBOARDS, DaskDashboard
from dask_dashboard.status import report
from dask_k8s_controller import After, Create, Key, Plan, Record, World
from dask_k8s_crds.resources import DASK_CLUSTERS, SERVICES


async def reconcile(key: Key, world: World) -> After | None:
    """Create the service if there is none. It may be called at any time, any number of times."""
    record = world.get(key)
    if record is None or record.deleting:  # the garbage collector deletes the service
        return None
    dashboard = DaskDashboard.parse(record.value)
    service = desired.service(dashboard)
    if not world.owned(record, SERVICES) and not world.expected(record, SERVICES):
        outcome = await world.apply(key, record.uid, Plan(create=(Create(SERVICES, service),)))
        outcome.raise_errors()  # then the controller calls this again, later and later
    cluster = world.get(Key(DASK_CLUSTERS, key.namespace, dashboard.spec.cluster))
    status = report(dashboard, service["metadata"]["name"], world.now(), has_cluster=cluster is not None)
    return await world.report(record, status.to_dict())


def cluster_of(body: Mapping[str, Any]) -> str | None:
    """Return the cluster of a dashboard: `World.find` finds dashboards by it."""
    name: str | None = body["spec"].get("cluster")
    return name


def dashboards_of_cluster(cluster: Record, world: World) -> list[Key]:
    """Return the dashboards to reconcile after their cluster was created, changed or deleted."""
    found = world.find(DASHBOARDS, cluster.key.namespace, cluster.key.name)
    return [dashboard.key for dashboard in found]
