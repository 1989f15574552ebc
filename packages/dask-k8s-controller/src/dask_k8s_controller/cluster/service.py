"""How a living scheduler's service follows its spec: in place, or anew where that cannot be. Pure."""

from __future__ import annotations

from typing import Any

from dask_k8s_controller import given
from dask_k8s_controller.plugin import Outcome
from dask_k8s_controller.resources import Body
from dask_k8s_controller.river.apply import WriteError
from dask_k8s_controller.river.cache import Record
from dask_k8s_controller.river.plan import Delete, Patch
from dask_k8s_crds.resources import SERVICES

_ADDRESSES = ("clusterIP", "clusterIPs")
_CANNOT_CHANGE = ("may not change once set", "may not be unset", "field is immutable", "may not be changed")
"""What the API server says of a field whose new value is as good as its old one, but for another service."""


def follow(service: Record, wanted: Body) -> Patch | Delete | None:
    """Return what makes a service as it is wanted; None where it is. A deleted one is made anew."""
    before = service.value.given
    if before == given.noted(wanted):
        return None
    change: dict[str, Any] = {
        "metadata": {"uid": service.uid, **given.metadata_patch(before, wanted)},
    }
    if given.differs(before, wanted, "spec"):
        old, new = service.value.spec, wanted["spec"]
        taken_back = given.taken_back(before, wanted, "spec")
        asked = {*new, *taken_back}
        if any(field in asked and old.get(field) != new.get(field) for field in _ADDRESSES):
            # The server would refuse one address for another, and keep one that is not asked for any more.
            return Delete(service.key, service.uid)
        change["spec"] = {
            **taken_back,
            **{field: given.replacing(old.get(field), value) for field, value in new.items()},
        }
    return Patch(service.key, change)


def anew(service: Record | None, outcome: Outcome) -> tuple[Delete | None, Outcome]:
    """Return what to do about a change of a field that cannot change, and what else went wrong.

    Only where the server says so: a service that works is not deleted for a mistake in the new one.
    """
    fixed = [error for error in outcome.errors if _is_fixed(error)]
    if service is None or not fixed:
        return None, outcome
    others = tuple(error for error in outcome.errors if error not in fixed)
    return Delete(service.key, service.uid), Outcome(others)


def _is_fixed(error: Exception) -> bool:
    return (
        isinstance(error, WriteError)
        and isinstance(error.action, Patch)
        and error.action.key.resource == SERVICES
        and error.error.reason == "Invalid"
        and any(words in error.error.message for words in _CANNOT_CHANGE)
    )
