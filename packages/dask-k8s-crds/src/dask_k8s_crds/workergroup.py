"""The fields of DaskWorkerGroup."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from dask_k8s_crds.conditions import Conditions
from dask_k8s_crds.custom_resource import Column, CustomResource, Scale
from dask_k8s_crds.model import Amount, Closed, Count, Status, without_nulls
from dask_k8s_crds.resources import DASK_WORKER_GROUPS
from dask_k8s_crds.templates import PodTemplate
from dask_k8s_crds.updates import UpdateStrategy
from dask_k8s_crds.validation_rules import IMMUTABLE, WORKER_GROUP_NAME, schema

WORKERS = Scale(".spec.worker.replicas", ".status.replicas", ".status.selector")
"""The scale subresource of worker groups; that of a cluster scales its default group."""


class WorkerSpec(PodTemplate):
    """Workers that are all alike."""

    replicas: Count = Field(default=1, description="How many workers.")
    dask_resources: Annotated[Mapping[str, Amount], BeforeValidator(without_nulls)] = Field(
        default={},
        description=(
            "Dask resources that each worker offers, such as GPU: 1. Tasks ask for them by name; the "
            "autoscaler, too, learns here what the workers are for, even while there are none."
        ),
    )
    cluster: str | None = Field(default=None, description="Has no effect; existing YAML carries it.")


class DaskWorkerGroupSpec(Closed):
    """What a user asks of a worker group."""

    cluster: str = Field(
        description="Name of the DaskCluster that the workers belong to; cannot be changed.",
        json_schema_extra=schema(IMMUTABLE),
    )
    worker: WorkerSpec = Field(description="The workers.")
    update_strategy: UpdateStrategy | None = Field(
        default=None, description="How workers follow a changed template; by default as the cluster says."
    )


class DaskWorkerGroupStatus(Status):
    """What the controller says of a worker group."""

    replicas: int | None = Field(default=None, description="Workers, those that retire not counted.")
    ready_replicas: int | None = Field(default=None, description="Workers that are ready.")
    updated_replicas: int | None = Field(
        default=None, description="Workers that are made from the template as it is now."
    )
    retiring: int | None = Field(default=None, description="Workers on their way out.")
    selector: str | None = Field(default=None, description="Labels of the workers.")
    observed_generation: int | None = None
    conditions: Conditions = ()


class DaskWorkerGroup(CustomResource):
    """A group of workers that are all alike, in a Dask cluster."""

    resource = DASK_WORKER_GROUPS
    status_type = DaskWorkerGroupStatus
    rules = (WORKER_GROUP_NAME,)
    columns = (
        Column("Cluster", ".spec.cluster"),
        Column("Workers", ".status.readyReplicas", "integer"),
        Column("Desired", ".spec.worker.replicas", "integer"),
        Column("Updated", ".status.updatedReplicas", "integer", priority=1),
    )
    scale = WORKERS

    spec: DaskWorkerGroupSpec
