"""Conditions of a pod as lists of maps. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dask_k8s_local.store import Object, timestamp


def condition(
    kind: str, *, met: bool, reason: str = "", message: str = "", generation: int | None = None
) -> Object:
    """Make a condition that changed now."""
    made: Object = {
        "type": kind,
        "status": str(met),
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(),
    }
    extra = {"reason": reason, "message": message, "observedGeneration": generation}
    return made | {key: value for key, value in extra.items() if value}


def with_condition(conditions: Iterable[Object], new: Object) -> list[Object]:
    """Put a condition among others; its transition time moves only on a flip."""
    result = [*conditions]
    for index, old in enumerate(result):
        if old["type"] == new["type"]:
            same = old["status"] == new["status"]
            result[index] = {**new, "lastTransitionTime": old["lastTransitionTime"]} if same else new
            return result
    return [*result, new]


def is_true(conditions: Iterable[Object] | None, kind: str) -> bool:
    """Tell whether a condition is met."""
    return any(one["type"] == kind and one["status"] == "True" for one in conditions or ())
