"""Findings, each a reason and a message, and the conditions made from them. Pure functions without I/O."""

from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Event
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import Condition, InvalidObject
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.conditions import dated

S = TypeVar("S", bound=BaseModel)


class Finding(NamedTuple):
    """A fact about an object: a CamelCase reason for conditions, and a message for users."""

    reason: str
    message: str


HEALTHY = Finding("Healthy", "nothing is wrong")


def refused(outcome: Outcome) -> Finding | None:
    """Return the first write that the API server refused, with the server's message."""
    for error in outcome.errors:
        if isinstance(error, WriteError) and error.answered and not isinstance(error.action, Event):
            return Finding(_reason(error), f"{error.action}: {error.message}")
    return None


def _reason(error: ApiError) -> str:
    if error.status == 403 and "exceeded quota" in error.message:
        return "QuotaExceeded"
    if "NamespaceTerminating" in error.causes:
        return "NamespaceTerminating"
    if error.status in (400, 422):
        return "InvalidSpec"
    return error.reason or "Refused"


def conditions(generation: int | None, **found: tuple[bool | None, Finding]) -> tuple[Condition, ...]:
    """Return a condition per name: whether it holds (None: unknown), and why; `dated` sets its time."""
    return tuple(
        Condition(
            type=kind,
            status="Unknown" if holds is None else "True" if holds else "False",
            reason=finding.reason,
            message=finding.message,
            observed_generation=generation,
        )
        for kind, (holds, finding) in found.items()
    )


def conditions_of(body: Body) -> list[Condition]:
    """Parse the conditions in the status of an object."""
    return [Condition.model_validate(entry) for entry in (body.get("status") or {}).get("conditions") or ()]


def last_status(model: type[S], body: Body) -> S:
    """Parse the last status of an object; an empty one if somebody else wrote an unreadable one."""
    try:
        return model.model_validate(body.get("status") or {})
    except ValidationError:
        return model()


def invalid_status(record: Record, error: InvalidObject, now: datetime, **holds: bool) -> dict[str, Any]:
    """Return the last status with conditions that report which field breaks a rule of the resource.

    An older CRD may have admitted such an object. ``holds`` names the conditions to set.
    """
    body = record.value
    generation = body["metadata"].get("generation")
    finding = Finding("InvalidSpec", str(error))
    found = conditions(generation, **{name: (held, finding) for name, held in holds.items()})
    found = dated(conditions_of(body), found, now=now)
    return {
        **(body.get("status") or {}),
        "observedGeneration": generation,
        "conditions": [entry.to_dict() for entry in found],
    }
