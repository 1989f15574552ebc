"""Which of a cluster's pods is its scheduler. The controller and the client both decide it here. Pure."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class PodState(NamedTuple):
    """What decides whether a pod is the scheduler.

    Attributes:
        created: Its `creationTimestamp`.
        name: Its name.
        terminating: Whether it is being deleted. On a lost node it stays so until somebody force-deletes it.
        finished: Whether none of its containers will ever run again.
    """

    created: str
    name: str
    terminating: bool
    finished: bool


def current(pods: Iterable[T], state: Callable[[T], PodState]) -> T | None:
    """Return the scheduler: the oldest pod that neither terminates nor has finished, ready or not.

    The oldest, because workers and clients are connected to it; the controller deletes a younger one.
    """
    states = ((state(pod), pod) for pod in pods)
    alive = [
        (found.created, found.name, pod) for found, pod in states if not (found.terminating or found.finished)
    ]
    return min(alive, key=lambda entry: entry[:2])[2] if alive else None
