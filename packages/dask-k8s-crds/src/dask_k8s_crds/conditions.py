"""Conditions in Kubernetes' standard shape. When a condition holds is decided elsewhere."""

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


def merge(old: Sequence[Condition], new: Sequence[Condition], *, now: datetime) -> tuple[Condition, ...]:
    """Date the new conditions: `lastTransitionTime` moves only on a flip of `status`.

    Old conditions of other types stay, since plugins may report on the same object.
    """
    before = {condition.type: condition for condition in old}
    dated = {condition.type: _dated(condition, before.get(condition.type), now) for condition in new}
    return tuple((before | dated).values())


def _dated(condition: Condition, before: Condition | None, now: datetime) -> Condition:
    flipped = before is None or before.status != condition.status or before.last_transition_time is None
    time = now.replace(microsecond=0) if flipped or before is None else before.last_transition_time
    return condition.model_copy(update={"last_transition_time": time})
