"""The fields of DaskCluster."""

from typing import Literal, get_args

from pydantic import Field, StrictBool

from dask_k8s_crds.conditions import Conditions
from dask_k8s_crds.custom_resource import Column, CustomResource
from dask_k8s_crds.model import Closed, Count, Status, Time
from dask_k8s_crds.resources import DASK_CLUSTERS
from dask_k8s_crds.templates import PodTemplate, ServiceSpec
from dask_k8s_crds.updates import UpdateStrategy
from dask_k8s_crds.validation_rules import CLUSTER_NAME
from dask_k8s_crds.workergroup import WORKERS, WorkerSpec

ClusterPhase = Literal["Created", "Pending", "Running", "Suspended", "Error"]


class SchedulerSpec(PodTemplate):
    """The scheduler's pod and service."""

    service: ServiceSpec = Field(description="As in a Service.")


class DaskClusterSpec(Closed):
    """What a user asks of a cluster."""

    scheduler: SchedulerSpec = Field(description="The scheduler's pod and service.")
    worker: WorkerSpec = Field(description="The default worker group.")
    idle_timeout: Count = Field(
        default=0,
        description=(
            "Seconds without a task and without work from a client, after which idleAction is taken; "
            "0: never."
        ),
    )
    idle_action: Literal["Delete", "ScaleToZero", "Suspend"] = Field(
        default="Delete",
        description=(
            "What is done after idleTimeout: delete the cluster, remove all of its workers, or suspend it."
        ),
    )
    suspend: StrictBool = Field(
        default=False,
        description="Whether the cluster rests: it has no pods, and keeps its spec. False brings them back.",
    )
    update_strategy: UpdateStrategy = Field(
        default=UpdateStrategy(),
        description="How living pods follow a changed template; a group may say otherwise for its own.",
    )


class DaskClusterStatus(Status):
    """What the controller says of a cluster."""

    phase: str | None = Field(
        default=None, description=f"{', '.join(get_args(ClusterPhase))}; later versions may have others."
    )
    scheduler_address: str | None = None
    dashboard_address: str | None = None
    workers: str | None = Field(default=None, description="Ready and desired workers of all groups: 2/3.")
    replicas: int | None = Field(default=None, description="Workers of the default group.")
    ready_replicas: int | None = Field(default=None, description="Ready workers of the default group.")
    updated_replicas: int | None = Field(
        default=None, description="Workers of the default group that are made from the template as it is now."
    )
    selector: str | None = Field(default=None, description="Labels of the default group's workers.")
    idle_since: Time | None = Field(
        default=None, description="Since when there has been nothing to do; absent while there is."
    )
    observed_generation: int | None = None
    conditions: Conditions = ()


class DaskCluster(CustomResource):
    """A Dask cluster: a scheduler and a default group of workers."""

    resource = DASK_CLUSTERS
    status_type = DaskClusterStatus
    rules = (CLUSTER_NAME,)
    columns = (
        Column("Workers", ".status.workers"),
        Column("Status", ".status.phase"),
        Column("Scheduler", ".status.schedulerAddress", priority=1),
    )
    scale = WORKERS

    spec: DaskClusterSpec
