"""Which pods will not do work soon: the one definition of what capacity will come. Pure."""

from collections.abc import Sequence
from datetime import datetime

from dask_k8s_controller.dask.pods.view import Pod, seconds_since


def stuck_pods(pods: Sequence[Pod], patience: float, now: datetime) -> tuple[Pod, ...]:
    """Return the pods of a group that do no work and are not expected to; the others run or will run.

    These pods cannot be scheduled, cannot pull their image, fail again and again, or have lost their node,
    for more than ``patience`` seconds. As soon as one has, others that do not start are not expected to
    either, since the pods of a group are all alike.
    """
    stalled = [pod for pod in pods if pod.stalled_since and pod.deletion is None]
    overdue = {pod.name for pod in stalled if seconds_since(pod.stalled_since, now) > patience}
    if not overdue:
        return ()
    return tuple(pod for pod in stalled if pod.name in overdue or (pod.trouble and not pod.running))
