"""Which pods will not do work soon: the one definition of what capacity will come. Pure."""

from collections.abc import Sequence
from datetime import datetime

from dask_k8s_controller.dask.pods.view import Pod, seconds_since


def seconds_until_stuck(pod: Pod, patience: float, now: datetime) -> float | None:
    """Return after how many seconds a pod with its present trouble is stuck; None if it has none."""
    if not pod.stalled_since or pod.deletion is not None:
        return None
    return patience - seconds_since(pod.stalled_since, now)


def stuck_pods(pods: Sequence[Pod], patience: float, now: datetime) -> tuple[Pod, ...]:
    """Return the pods of a group that do no work and are not expected to; the others run or will run.

    These pods cannot be scheduled, cannot pull their image, fail again and again, or have lost their node,
    for ``patience`` seconds. As soon as one has, others that do not start are not expected to
    either, since the pods of a group are all alike.
    """
    stalled = [(pod, left) for pod in pods if (left := seconds_until_stuck(pod, patience, now)) is not None]
    if all(left > 0 for _, left in stalled):
        return ()
    return tuple(pod for pod, left in stalled if left <= 0 or (pod.trouble and not pod.running))
