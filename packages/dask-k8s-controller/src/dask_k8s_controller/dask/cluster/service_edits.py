"""Edits of the scheduler's Service: in place, or by a new Service where a field cannot change. Pure."""

from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Delete, Patch, Plan
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds.resources import SERVICES

_ADDRESSES = ("clusterIP", "clusterIPs")
_IMMUTABLE = ("may not change once set", "may not be unset", "field is immutable", "may not be changed")
"""Parts of the API server's messages for a valid value that the existing Service cannot take."""


def edit(service: Record, desired: Body) -> Patch | Delete | None:
    """Return what brings a Service in line; None if it is current. A deleted one is created again."""
    before = service.value.last_applied
    if before == last_applied.recorded(desired):
        return None
    metadata = last_applied.metadata_patch(before, desired)
    change: dict[str, Any] = {"metadata": {"uid": service.uid, **metadata}}
    if last_applied.differs(before, desired, "spec"):
        old, new = service.value.spec, desired["spec"]
        removed = last_applied.removed_keys(before, desired, "spec")
        if any(old.get(field) != new.get(field) for field in _ADDRESSES if field in new or field in removed):
            # The API server would refuse another address, and keep one that is no longer requested.
            return Delete(service.key, service.uid)
        changed = {field: last_applied.merge_patch(old.get(field), value) for field, value in new.items()}
        change["spec"] = {**removed, **changed}
    return Patch(service.key, change)


def recreate(service: Record | None, outcome: Outcome) -> Plan:
    """Return the plan that deletes a Service if the API server refused to change an immutable field.

    The Service is deleted for no other refusal: one that works must survive a mistake in its spec.
    """
    if service is None or not any(map(_is_immutable, outcome.errors)):
        return Plan()
    return Plan(delete=(Delete(service.key, service.uid),))


def without_immutable_errors(outcome: Outcome) -> Outcome:
    """Return an outcome without the errors that `recreate` resolves."""
    return Outcome(tuple(error for error in outcome.errors if not _is_immutable(error)))


def _is_immutable(error: Exception) -> bool:
    return (
        isinstance(error, WriteError)
        and isinstance(error.action, Patch)
        and error.action.key.resource == SERVICES
        and error.reason == "Invalid"
        and any(text in error.message for text in _IMMUTABLE)
    )
