"""Which workers of a group are not expected to start, by its pods and its status. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from dask_k8s_autoscaler.model import Stuck
from dask_k8s_controller import Pod, stuck_pods
from dask_k8s_crds import DaskWorkerGroupStatus
from dask_k8s_crds.conditions import find


def stuck_workers(
    replicas: int, pods: Sequence[Pod], status: DaskWorkerGroupStatus, patience: float, now: datetime
) -> tuple[Stuck | None, int]:
    """Return the workers of a group that are not expected to start, and how many are on lost nodes.

    The former include those that cannot be created, for example because of a quota.
    """
    stalled = stuck_pods(pods, patience, now)
    stuck = [
        (pod.trouble.reason, datetime.fromisoformat(pod.stalled_since)) for pod in stalled if pod.trouble
    ]
    lost = len(stalled) - len(stuck)
    troubles = {pod.trouble.reason for pod in pods if pod.trouble}
    degraded = find(status.conditions, "Degraded")
    if degraded is not None and degraded.status == "True" and degraded.reason not in troubles:
        since = degraded.last_transition_time
        if since is not None and (now - since).total_seconds() > patience:
            stuck += [(degraded.reason, since)] * (replicas - len(pods))
    lost = min(lost, replicas)
    number = min(len(stuck), replicas - lost)
    if not number:
        return None, lost
    [(reason, _)] = Counter(reason for reason, _ in stuck).most_common(1)
    return Stuck(number, reason, min(since for _, since in stuck).timestamp(), patience), lost
