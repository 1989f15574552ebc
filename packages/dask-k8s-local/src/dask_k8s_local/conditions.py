"""Conditions and phases in a status. Pure functions of objects."""

from collections.abc import Iterable, Mapping
from typing import Any

from dask_k8s_local.store import Object, timestamp


def condition(
    kind: str, *, met: bool, reason: str = "", message: str = "", generation: int | None = None
) -> Object:
    """Return a condition whose transition time is now."""
    made: Object = {
        "type": kind,
        "status": str(met),
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(),
    }
    extra = {"reason": reason, "message": message, "observedGeneration": generation}
    return made | {key: value for key, value in extra.items() if value}


def with_condition(conditions: Iterable[Object], new: Object) -> list[Object]:
    """Add or replace a condition; its transition time changes only when its status changes."""
    result = [*conditions]
    for index, old in enumerate(result):
        if old["type"] == new["type"]:
            same = old["status"] == new["status"]
            result[index] = {**new, "lastTransitionTime": old["lastTransitionTime"]} if same else new
            return result
    return [*result, new]


def is_true(conditions: Iterable[Object] | None, kind: str) -> bool:
    """Return whether a condition is True."""
    return any(one["type"] == kind and one["status"] == "True" for one in conditions or ())


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod has succeeded or failed."""
    return (pod.get("status") or {}).get("phase") in {"Failed", "Succeeded"}
