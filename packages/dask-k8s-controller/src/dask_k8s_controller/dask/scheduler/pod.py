"""Which pod is the scheduler of a cluster, and whose agent answers for it. Pure; the time is passed in."""

from collections.abc import Iterable
from datetime import datetime

from dask_k8s_controller.dask.pods.view import is_lost
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_crds import scheduler_pod
from dask_k8s_crds.scheduler_pod import PodState


def current(pods: Iterable[Record]) -> Record | None:
    """Return the scheduler among the pods of a cluster; None if a new one has to be created."""
    return scheduler_pod.current(pods, _state)


def answering(pods: Iterable[Record], now: datetime) -> Record | None:
    """Return the pod whose agent is to be asked; None if no scheduler runs, and so no data is in memory.

    That is the scheduler. Until it runs, it is the terminating one before it, which has data in memory until
    it ends; but not a lost one, which never answers again.
    """
    present = list(pods)
    scheduler = current(present)
    if scheduler is not None and scheduler.value.running:
        return scheduler
    terminating = (pod for pod in present if pod.deleting and pod.value.running and not is_lost(pod, now))
    return min(terminating, key=lambda pod: (pod.value.created, pod.key.name), default=None)


def _state(pod: Record) -> PodState:
    return PodState(pod.value.created, pod.key.name, pod.deleting, pod.value.finished)
