"""Conditions as in all Kubernetes APIs: the model, and how their transition times are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from dask_k8s_crds.model import Model, Time


class Condition(Model):
    """One thing that is true, false or unknown of an object, and why."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_transition_time: Time | None = Field(default=None, description="When `status` last changed.")
    observed_generation: int | None = None


Conditions = Annotated[
    tuple[Condition, ...],
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


def find(conditions: Sequence[Condition], condition_type: str) -> Condition | None:
    """Return the condition of a type, None if there is none."""
    return next((each for each in conditions if each.type == condition_type), None)


def dated(old: Sequence[Condition], new: Sequence[Condition], *, now: datetime) -> tuple[Condition, ...]:
    """Return the new conditions with `lastTransitionTime`: `now` where `status` differs from the old one."""
    return tuple(_dated(condition, find(old, condition.type), now) for condition in new)


def _dated(condition: Condition, before: Condition | None, now: datetime) -> Condition:
    since = before.last_transition_time if before and before.status == condition.status else None
    return condition.model_copy(update={"last_transition_time": since or now.replace(microsecond=0)})
