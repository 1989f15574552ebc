"""The JSON merge patch that turns the status of an object into a reported one. Pure; no I/O."""

from collections.abc import Mapping
from typing import Any

from dask_k8s_controller.runtime.objects import Body


def status_patch(body: Body, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch of the status of ``body``; empty if the status says what ``report`` says.

    Fields that the report does not contain are removed. Conditions of types that it does not contain stay:
    plugins and others write them. A merge patch replaces a list as a whole, so the patch is valid only for
    this version of the object.
    """
    current = body.get("status") or {}
    merged = dict(report)
    if "conditions" in report:
        known = {each["type"]: each for each in current.get("conditions") or ()}
        merged["conditions"] = list((known | {each["type"]: each for each in report["conditions"]}).values())
    fields = dict.fromkeys((*current, *merged))
    return {name: merged.get(name) for name in fields if current.get(name) != merged.get(name)}
