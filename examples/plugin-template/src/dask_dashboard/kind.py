"""What a DaskDashboard is: its fields, and so its CRD. No I/O."""

from typing import Literal

from pydantic import Field

from dask_k8s_controller import of_kind
from dask_k8s_crds import Resource, kinds
from dask_k8s_crds.conditions import Conditions
from dask_k8s_crds.model import Closed, Model
from dask_k8s_crds.resource import Column
from dask_k8s_crds.rules import IMMUTABLE, schema

FIXED = schema(IMMUTABLE)


class DashboardSpec(Closed):
    """What a user asks for."""

    cluster: str = Field(description="Name of the DaskCluster.", json_schema_extra=FIXED)
    type: Literal["NodePort", "LoadBalancer"] = Field(
        default="NodePort", description="As in a Service.", json_schema_extra=FIXED
    )


class DashboardStatus(Model):
    """What the controller says."""

    service: str | None = Field(default=None, description="Name of the Service.")
    observed_generation: int | None = None
    conditions: Conditions = ()


class DaskDashboard(Resource):
    """The dashboard of a Dask cluster, for people outside of Kubernetes."""

    kind = kinds.Kind("DaskDashboard", "daskdashboards", "daskdashboard", group="example.org")
    status_type = DashboardStatus
    columns = (
        Column("Cluster", ".spec.cluster"),
        Column("Type", ".spec.type"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    )
    spec: DashboardSpec
    status: DashboardStatus = DashboardStatus()


DASHBOARDS = of_kind(DaskDashboard.kind)
