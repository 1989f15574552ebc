"""What a DaskDashboard is: its fields, and so its CRD. No I/O."""

from typing import Literal

from pydantic import Field

from dask_k8s_crds.conditions import Conditions
from dask_k8s_crds.custom_resource import Column, CustomResource
from dask_k8s_crds.model import Closed, Model
from dask_k8s_crds.resources import Resource
from dask_k8s_crds.validation_rules import IMMUTABLE, schema

DASHBOARDS = Resource("example.org", "v1", "DaskDashboard", "daskdashboards")
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


class DaskDashboard(CustomResource):
    """The dashboard of a Dask cluster, for people outside of Kubernetes."""

    resource = DASHBOARDS
    status_type = DashboardStatus
    columns = (
        Column("Cluster", ".spec.cluster"),
        Column("Type", ".spec.type"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    )
    spec: DashboardSpec
    status: DashboardStatus = DashboardStatus()
