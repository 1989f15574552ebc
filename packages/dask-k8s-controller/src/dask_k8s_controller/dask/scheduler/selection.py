"""Which pod of a cluster is its scheduler. Pure.

Two callers ask, and their answers differ while a scheduler that still runs is being deleted.
"""

from collections.abc import Iterable

from dask_k8s_controller.runtime.cache import Record


def current_scheduler(pods: Iterable[Record]) -> Record | None:
    """Return the scheduler for plan and status: the oldest that is neither being deleted nor finished."""
    current = [pod for pod in pods if not pod.deleting and not pod.value.finished]
    return min(current, key=lambda pod: (pod.value.created, pod.key.name), default=None)


def running_scheduler(pods: Iterable[Record]) -> Record | None:
    """Return the scheduler whose agent is asked: the oldest that runs, also while it is being deleted."""
    return min((pod for pod in pods if pod.value.running), key=lambda pod: pod.value.created, default=None)
