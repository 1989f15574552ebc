"""Named facts about what went wrong, each a reason and a sentence. No await, no clock, no environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from dask_k8s_controller.kube import ApiError
from dask_k8s_controller.plugin import Outcome
from dask_k8s_controller.pods import Pod
from dask_k8s_controller.resources import Body
from dask_k8s_controller.river.apply import WriteError
from dask_k8s_controller.river.plan import Tell
from dask_k8s_crds import Condition


class Finding(NamedTuple):
    """One fact: a reason in Kubernetes' CamelCase, and a sentence for the user."""

    reason: str
    message: str


HEALTHY = Finding("Healthy", "nothing is wrong")


def refused(outcome: Outcome) -> Finding | None:
    """A child that the API server refused, in its own words."""
    for error in outcome.errors:
        if isinstance(error, WriteError) and error.error.answered and not isinstance(error.action, Tell):
            return Finding(_reason(error.error), f"{error.action}: {error.error.message}")
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


def conditions(generation: int | None, **found: tuple[bool, Finding]) -> tuple[Condition, ...]:
    """Return a condition per name: whether it holds, and why; `dask_k8s_crds.conditions.merge` dates them."""
    return tuple(
        Condition(
            type=kind,
            status="True" if holds else "False",
            reason=finding.reason,
            message=finding.message,
            observed_generation=generation,
        )
        for kind, (holds, finding) in found.items()
    )


def conditions_of(body: Body) -> list[Condition]:
    """Read the conditions that an object has in its status."""
    return [Condition.model_validate(entry) for entry in (body.get("status") or {}).get("conditions") or ()]
