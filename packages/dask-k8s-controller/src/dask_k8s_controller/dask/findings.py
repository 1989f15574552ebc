"""Findings, each a reason and a message, and the conditions made from them. Pure functions without I/O."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.plan import Event
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import Condition, CustomResource, InvalidObject
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.conditions import dated, find


class Finding(NamedTuple):
    """A fact about an object: a CamelCase reason for conditions, and a message for users."""

    reason: str
    message: str


_MOST_FIELDS = 10
"""How many unknown fields a message names."""
HEALTHY = Finding("Healthy", "nothing is wrong")


def refused(outcome: Outcome) -> Finding | None:
    """Return the first write that the API server refused, with the server's message."""
    for error in outcome.errors:
        if isinstance(error, WriteError) and error.answered and not isinstance(error.action, Event):
            return Finding(_reason(error), f"{error.action}: {error.message}")
    return None


def exceeds_quota(error: ApiError) -> bool:
    """Return whether the API server refused an object because of a ResourceQuota."""
    return error.status == 403 and "exceeded quota" in error.message


def _reason(error: ApiError) -> str:
    if exceeds_quota(error):
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


def unknown_fields(parsed: CustomResource, known: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return the condition `UnknownFields` of an object with fields that this version does not know.

    An object without such fields has the condition only if it is among those that are ``known``: then it had
    such fields.
    """
    generation, unknown = parsed.metadata.generation, parsed.unknown_fields()
    if unknown:
        more = f" and {len(unknown) - _MOST_FIELDS} more" if len(unknown) > _MOST_FIELDS else ""
        message = (
            f"{', '.join(unknown[:_MOST_FIELDS])}{more}: ignored, because this version of the controller "
            "does not know these fields; upgrade it to that of the CustomResourceDefinition"
        )
        return conditions(generation, UnknownFields=(True, Finding("ControllerOutdated", message)))
    if find(known, "UnknownFields"):
        finding = Finding("AllFieldsKnown", "the controller knows all fields of the spec")
        return conditions(generation, UnknownFields=(False, finding))
    return ()


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
