"""What living workers are told without a restart: labels, annotations, and that they hand over.

No await, no clock, no environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from dask_k8s_controller import given
from dask_k8s_controller.resources import Body
from dask_k8s_controller.river.cache import Record
from dask_k8s_controller.river.plan import Patch
from dask_k8s_controller.workergroup.retire import Leaving
from dask_k8s_crds import labels


def patches(living: Sequence[Record], example: Body, leaving: Leaving, now: datetime) -> Iterator[Patch]:
    """Yield a patch for each worker that stays and is not as ``example`` is, apart from its template."""
    gone = {pod.uid for pod in leaving.pods}
    handing_over = {pod.uid for pod in leaving.handing_over}
    for pod in living:
        if pod.uid in gone:
            continue
        patch = given.pod_patch(pod.value.given, pod.value.digest, example)
        if mark := _mark(pod, now, hands_over=pod.uid in handing_over):
            patch["annotations"] = {**patch.get("annotations", {}), **mark}
        if patch:
            # With the uid, the server refuses this for another pod that has the name by now.
            yield Patch(pod.key, {"metadata": {"uid": pod.uid, **patch}})


def _mark(pod: Record, now: datetime, *, hands_over: bool) -> dict[str, Any]:
    """Remember since when a worker hands over; who does not have to any more may begin anew later."""
    if hands_over is (pod.value.draining is not None):
        return {}
    return {labels.DRAINING_SINCE: now.strftime("%Y-%m-%dT%H:%M:%SZ") if hands_over else None}
