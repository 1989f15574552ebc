"""What living workers are told without a restart: labels, annotations, and that they hand over.

No await, no clock, no environment.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.workergroup.retire import Retirement
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_controller.runtime.plan import Patch
from dask_k8s_crds import labels


def patches(living: Sequence[Record], example: Body, leaving: Retirement, now: datetime) -> Iterator[Patch]:
    """Yield a patch for each worker that stays and is not as ``example`` is, apart from its template."""
    gone = {pod.uid for pod in leaving.pods}
    draining = {pod.uid for pod in leaving.draining}
    for pod in living:
        if pod.uid in gone:
            continue
        patch = last_applied.pod_patch(pod.value.last_applied, pod.value.digest, example)
        if mark := _mark(pod, now, hands_over=pod.uid in draining):
            patch["annotations"] = {**patch.get("annotations", {}), **mark}
        if patch:
            # With the uid, the server refuses this for another pod that has the name by now.
            yield Patch(pod.key, {"metadata": {"uid": pod.uid, **patch}})


def _mark(pod: Record, now: datetime, *, hands_over: bool) -> dict[str, Any]:
    """Remember since when a worker hands over; who does not have to any more may begin anew later."""
    if hands_over is (pod.value.draining is not None):
        return {}
    return {labels.DRAINING_SINCE: now.strftime("%Y-%m-%dT%H:%M:%SZ") if hands_over else None}
