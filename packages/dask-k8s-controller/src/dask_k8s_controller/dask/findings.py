"""Named facts about what went wrong, each a reason and a sentence. No await, no clock, no environment."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from dask_k8s_controller.dask.pods import Pod
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Event
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import Condition, InvalidObject
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.conditions import merge


class Finding(NamedTuple):
    """One fact: a reason in Kubernetes' CamelCase, and a sentence for the user."""

    reason: str
    message: str


HEALTHY = Finding("Healthy", "nothing is wrong")


def refused(outcome: Outcome) -> Finding | None:
    """A child that the API server refused, in its own words."""
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


def troubled(pods: Iterable[Pod]) -> Finding | None:
    """What keeps most of the pods in trouble from running, by the first of them."""
    in_trouble = sorted((pod for pod in pods if pod.trouble), key=lambda pod: pod.name)
    if not in_trouble:
        return None
    reasons = Counter(pod.trouble.reason for pod in in_trouble if pod.trouble)
    reason, count = reasons.most_common(1)[0]
    first = next(pod for pod in in_trouble if pod.trouble and pod.trouble.reason == reason)
    message = first.trouble.message if first.trouble else ""
    others = f" (and {count - 1} more)" if count > 1 else ""
    return Finding(reason, f"pod {first.name}{others}: {message}")


def conditions(generation: int | None, **found: tuple[bool | None, Finding]) -> tuple[Condition, ...]:
    """Return a condition per name: whether it holds (None: unknown), and why.

    `dask_k8s_crds.conditions.merge` sets the times of their last transitions.
    """
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
    """Read the conditions that an object has in its status."""
    return [Condition.model_validate(entry) for entry in (body.get("status") or {}).get("conditions") or ()]


def invalid_status(record: Record, error: InvalidObject, now: datetime, **holds: bool) -> dict[str, Any]:
    """Return the last status with conditions that report which field breaks a rule of the resource.

    An older CRD may have admitted such an object. ``holds`` names the conditions to set.
    """
    body = record.value
    generation = body["metadata"].get("generation")
    finding = Finding("InvalidSpec", str(error))
    found = conditions(generation, **{name: (held, finding) for name, held in holds.items()})
    merged = merge(conditions_of(body), found, now=now)
    return {
        **(body.get("status") or {}),
        "observedGeneration": generation,
        "conditions": [entry.to_dict() for entry in merged],
    }
