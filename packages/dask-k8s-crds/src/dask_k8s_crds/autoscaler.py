"""The fields of DaskAutoscaler. The number of workers is computed in `dask-k8s-autoscaler`."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from dask_k8s_crds import names
from dask_k8s_crds.conditions import Conditions
from dask_k8s_crds.custom_resource import Column, CustomResource
from dask_k8s_crds.model import Amount, Closed, Count, Model, Percent, Positive, Priority, Status, Time
from dask_k8s_crds.resources import DASK_AUTOSCALERS
from dask_k8s_crds.validation_rules import BOUNDS, IMMUTABLE, OTHER_GROUPS, schema

_BY_NAME = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class Bounds(Closed):
    """How many workers a group may have, and what happens if they do not start."""

    model_config = ConfigDict(json_schema_extra=schema(BOUNDS))

    minimum: Count = Field(default=0, description="How many workers there are at least.")
    maximum: Count | None = Field(
        default=None, description="How many workers there are at most; without it there is no upper bound."
    )
    fallback_seconds: Positive = Field(
        default=60,
        description=(
            "Seconds for which a worker may fail to start: no node fits, its image cannot be pulled, or it "
            "keeps ending. After that it does not count, and its work goes to the other groups until it runs."
        ),
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(BOUNDS.message)
        return self


class AutoscaledGroup(Bounds):
    """A further group, and its bounds."""

    name: str = Field(
        max_length=names.WORKER_GROUP_NAME_MAX,
        description=(
            "Name of the DaskWorkerGroup, in full as `kubectl get daskworkergroups` shows it: "
            "my-cluster-highmem."
        ),
    )
    priority: Priority = Field(
        default=0,
        description=(
            "Work that any group could do goes to the lowest priority first, and to the next once that group "
            "is at its maximum. The default group has 0; among equals it comes first, then the order here."
        ),
    )


class ScaleUp(Closed):
    """How fast workers are added."""

    stabilization_seconds: Count = Field(
        default=0, description="Seconds for which more workers must have been needed before any are added."
    )
    max_step: Positive | None = Field(
        default=None, description="How many workers are added to a group at once, at most."
    )
    max_step_percent: Positive | None = Field(
        default=None,
        description=(
            "The same in percent of those that the group has; one may always be added. "
            "With maxStep, the smaller of the two."
        ),
    )


class ScaleDown(Closed):
    """How fast workers are removed."""

    stabilization_seconds: Count = Field(
        default=15,
        description="Seconds for which fewer workers must have been enough before any are removed.",
    )
    max_step_percent: Percent = Field(
        default=25,
        description=(
            "How many workers are removed from a group at once, at most, in percent of those that it has; "
            "one may always be removed."
        ),
    )
    idle_seconds: Count | None = Field(
        default=None,
        description=(
            "Seconds for which a worker must have had nothing to do before it is removed, beyond "
            "stabilizationSeconds. Without it, workers with few tasks may retire as well, after they have "
            "finished what they are running, if the others can do the rest within the target duration."
        ),
    )


class DaskAutoscalerSpec(Bounds):
    """What a user asks of an autoscaler: minimum, maximum and fallbackSeconds are of the default group."""

    model_config = ConfigDict(json_schema_extra=schema(BOUNDS, OTHER_GROUPS))

    cluster: str = Field(
        max_length=names.CLUSTER_NAME_MAX,
        description="Name of the DaskCluster to scale; cannot be changed.",
        json_schema_extra=schema(IMMUTABLE),
    )
    groups: Annotated[tuple[AutoscaledGroup, ...], Field(max_length=100, json_schema_extra=_BY_NAME)] = Field(
        default=(),
        description=(
            "Further groups to scale. Tasks that ask for a Dask resource wake the groups that offer it. "
            "Not the default group, whose bounds are spec.minimum and spec.maximum."
        ),
    )
    scale_up: ScaleUp = Field(default=ScaleUp(), description="How fast workers are added.")
    scale_down: ScaleDown = Field(default=ScaleDown(), description="How fast workers are removed.")
    interval_seconds: Positive = Field(
        default=5, description="How often the scheduler is asked what it needs, in seconds."
    )
    target_duration_seconds: Amount | None = Field(
        default=None,
        description=(
            "There are so many workers that the known work takes about so many seconds; "
            "by default what the scheduler is configured with."
        ),
    )


class AutoscaledGroupStatus(Model):
    """How it is with one group."""

    name: str
    desired_replicas: int | None = Field(default=None, description="Workers that it should have.")
    current_replicas: int | None = Field(default=None, description="Workers that it has, ready or not.")
    stuck_replicas: int | None = Field(
        default=None,
        description="Workers that have not started for more than fallbackSeconds, and so do not count.",
    )


class DaskAutoscalerStatus(Status):
    """What the controller says of an autoscaler."""

    desired_replicas: int | None = Field(default=None, description="Workers that all groups should have.")
    current_replicas: int | None = Field(
        default=None, description="Workers that all groups have, ready or not."
    )
    groups: Annotated[tuple[AutoscaledGroupStatus, ...], Field(json_schema_extra=_BY_NAME)] = ()
    last_scale_time: Time | None = Field(default=None, description="When a size was last changed.")
    observed_generation: int | None = None
    conditions: Conditions = ()


class DaskAutoscaler(CustomResource):
    """Lets a Dask cluster have as many workers as its work needs, within bounds."""

    resource = DASK_AUTOSCALERS
    status_type = DaskAutoscalerStatus
    columns = (
        Column("Cluster", ".spec.cluster"),
        Column("Minimum", ".spec.minimum", "integer"),
        Column("Maximum", ".spec.maximum", "integer"),
        Column("Desired", ".status.desiredReplicas", "integer"),
        Column("Current", ".status.currentReplicas", "integer"),
    )

    spec: DaskAutoscalerSpec
