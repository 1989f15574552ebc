"""How a living scheduler's service follows its spec: in place, or anew where that cannot be. Pure."""

from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Delete, Patch
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_crds.resources import SERVICES

_ADDRESSES = ("clusterIP", "clusterIPs")
_CANNOT_CHANGE = ("may not change once set", "may not be unset", "field is immutable", "may not be changed")
"""What the API server says of a field whose new value is as good as its old one, but for another service."""


def follow(service: Record, wanted: Body) -> Patch | Delete | None:
    """Return what makes a service as it is wanted; None where it is. A deleted one is made anew."""
    before = service.value.last_applied
    if before == last_applied.recorded(wanted):
        return None
    change: dict[str, Any] = {
        "metadata": {"uid": service.uid, **last_applied.metadata_patch(before, wanted)},
    }
    if last_applied.differs(before, wanted, "spec"):
        old, new = service.value.spec, wanted["spec"]
        removed_keys = last_applied.removed_keys(before, wanted, "spec")
        asked = {*new, *removed_keys}
        if any(field in asked and old.get(field) != new.get(field) for field in _ADDRESSES):
            # The server would refuse one address for another, and keep one that is not asked for any more.
            return Delete(service.key, service.uid)
        change["spec"] = {
            **removed_keys,
            **{field: last_applied.replacing(old.get(field), value) for field, value in new.items()},
        }
    return Patch(service.key, change)


def recreate_service(service: Record | None, outcome: Outcome) -> tuple[Delete | None, Outcome]:
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
        and error.reason == "Invalid"
        and any(words in error.message for words in _CANNOT_CHANGE)
    )
