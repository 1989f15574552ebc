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
) -> Stuck | None:
    """Return the workers of a group that are not expected to start, those that cannot be created included."""
    stuck = [
        (each.trouble.reason if each.trouble else "NotReady", each.stalled_since)
        for each in stuck_pods(pods, patience, now)
    ]
    troubles = {pod.trouble.reason for pod in pods if pod.trouble}
    degraded = find(status.conditions, "Degraded")
    if degraded is not None and degraded.status == "True" and degraded.reason not in troubles:
        since = degraded.last_transition_time
        if since is not None and (now - since).total_seconds() > patience:
            stuck += [(degraded.reason, since.isoformat())] * (replicas - len(pods))
    if not stuck:
        return None
    [(reason, _)] = Counter(reason for reason, _ in stuck).most_common(1)
    since = min(datetime.fromisoformat(since) for _, since in stuck)
    return Stuck(min(len(stuck), replicas), reason, since.timestamp(), patience)
