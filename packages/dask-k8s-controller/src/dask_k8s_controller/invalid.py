"""Report of an object that breaks the rules of its kind, as an older CRD may have let it in.

No await, no environment; the time is passed in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dask_k8s_controller.findings import Finding, conditions, conditions_of
from dask_k8s_controller.river.cache import Record
from dask_k8s_crds import InvalidObject
from dask_k8s_crds.conditions import merge


def invalid_status(record: Record, error: InvalidObject, now: datetime) -> dict[str, Any]:
    """Keep the numbers of the last report, and say what is wrong with which field."""
    body = record.value
    generation = body["metadata"].get("generation")
    finding = Finding("InvalidSpec", str(error))
    found = conditions(
        generation, Ready=(False, finding), Progressing=(False, finding), Degraded=(True, finding)
    )
    merged = merge(conditions_of(body), found, now=now)
    return {
        **(body.get("status") or {}),
        "observedGeneration": generation,
        "conditions": [entry.to_dict() for entry in merged],
    }
