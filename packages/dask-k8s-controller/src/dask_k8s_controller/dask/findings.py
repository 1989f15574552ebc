"""Findings, each a reason and a message, and the conditions made from them. Pure functions without I/O."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.objects import Body, bounded
from dask_k8s_controller.runtime.plan import Event
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds import Condition, CustomResource, InvalidObject, containers, labels
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.conditions import dated, find
from dask_k8s_crds.templates import TemplateMetadata


class Finding(NamedTuple):
    """A fact about an object: a CamelCase reason for conditions, and a message for users."""

    reason: str
    message: str


_MOST_FIELDS = 10
"""How many unknown fields a message names."""
_MOST_BYTES = 4096
"""Bytes of a message of the API server that are shown. It may quote a spec."""
_CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*")
HEALTHY = Finding("Healthy", "nothing is wrong")


def refused(outcome: Outcome) -> Finding | None:
    """Return the first write that the API server refuses, or has failed to carry out for some time."""
    for error in outcome.failures:
        if isinstance(error, WriteError) and error.is_refusal and not isinstance(error.action, Event):
            return Finding(_reason(error), bounded(f"{error.action}: {error.message}", _MOST_BYTES))
    return None


def unidentified_container(template: Body, component: str) -> Finding | None:
    """Return that nothing shows which container of a template runs Dask. The pods may work all the same."""
    message = containers.unidentified(template, component, f"spec.{component}.spec")
    return Finding("ContainerUnidentified", message) if message else None


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
    if "failed calling webhook" in error.message or "failed to call webhook" in error.message:
        return "WebhookFailed"
    if error.status == 0 or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "ApiServerError"
    # A proxy in between answers with the phrase of the HTTP status, which is not CamelCase.
    return error.reason if _CAMEL_CASE.fullmatch(error.reason) else "Refused"


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


def without_effect(
    parsed: CustomResource, known: Sequence[Condition], *templates: TemplateMetadata
) -> tuple[Condition, ...]:
    """Return conditions that report what an object has and what has no effect.

    These are fields that this version does not know, and the labels with which Kueue's own jobs wait in a
    queue, on the object or in one of the ``templates`` of its children.
    """
    labelled = (parsed.metadata.labels, *(template.labels for template in templates))
    return (*unknown_fields(parsed, known), *_queue_label(parsed.metadata.generation, labelled, known))


def _queue_label(
    generation: int | None, labelled: Sequence[Mapping[str, str]], known: Sequence[Condition]
) -> tuple[Condition, ...]:
    queue = next((each[labels.QUEUE_NAME] for each in labelled if labels.QUEUE_NAME in each), None)
    if queue is not None:
        message = (
            f"the label {labels.QUEUE_NAME}: {bounded(queue, 63)} has no effect: the controller does not "
            "integrate with Kueue, so the object does not wait in this queue, and the label is not passed to "
            "its children; remove the label"
        )
        return conditions(generation, QueueLabelIgnored=(True, Finding("NoQueueIntegration", message)))
    if find(known, "QueueLabelIgnored"):
        finding = Finding("NoQueueLabel", f"the label {labels.QUEUE_NAME} was removed")
        return conditions(generation, QueueLabelIgnored=(False, finding))
    return ()


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
