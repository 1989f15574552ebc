"""A DaskDashboard makes the dashboard of a Dask cluster reachable from outside, by a Service of its own."""

from typing import Any, Literal

from pydantic import Field

from dask_k8s_controller import (
    SERVICES,
    After,
    Create,
    Key,
    Plan,
    Plugin,
    Reconciler,
    Rule,
    Watched,
    World,
    of_kind,
)
from dask_k8s_crds import Resource, kinds, labels, manifests, metadata, model, names, resource


class Spec(model.Closed):
    """What a user asks for."""

    cluster: str = Field(description="Name of the DaskCluster.")
    type: Literal["NodePort", "LoadBalancer"] = Field(default="NodePort", description="As in a Service.")


class Status(model.Model):
    """What the controller says."""

    service: str | None = Field(default=None, description="Name of the Service.")


class DaskDashboard(Resource):
    """The dashboard of a Dask cluster, for people outside of Kubernetes."""

    kind = kinds.Kind("DaskDashboard", "daskdashboards", "daskdashboard", group="example.org")
    status_type = Status
    columns = (resource.Column("Cluster", ".spec.cluster"), resource.Column("Type", ".spec.type"))
    spec: Spec


DASHBOARDS = of_kind(DaskDashboard.kind)


async def reconcile(key: Key, world: World) -> After | None:
    """Make the service, should there be none."""
    record = world.get(key)
    if record is None or record.deleting:
        return None
    wanted = service(DaskDashboard.parse(record.value))
    if not world.owned(record.uid, SERVICES) and not world.expected(record.uid, SERVICES):
        outcome = await world.apply(key, record.uid, Plan(create=(Create(SERVICES, wanted),)))
        outcome.raise_errors()
    return await world.report(key, Status(service=wanted["metadata"]["name"]).to_dict())


def service(dashboard: DaskDashboard) -> dict[str, Any]:
    """Return the service of a dashboard; the label of its cluster lets the controller see it."""
    meta, spec = dashboard.metadata, dashboard.spec
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{meta.name}-dashboard",
            "namespace": meta.namespace,
            "labels": {labels.CLUSTER_NAME: spec.cluster, labels.COMPONENT: "dashboard"},
            "ownerReferences": [metadata.owner_reference(DaskDashboard.kind, meta)],
        },
        "spec": {
            "type": spec.type,
            "selector": labels.scheduler(spec.cluster),
            "ports": [{"name": "http", "port": 80, "targetPort": names.DASHBOARD_PORT}],
        },
    }


PLUGIN = Plugin(
    crds=(manifests.crd(DaskDashboard),),
    watches=(Watched(DASHBOARDS),),
    reconcilers=(Reconciler(DASHBOARDS, reconcile),),
    rules=(Rule("", ("services",), ("create",)),),
)
