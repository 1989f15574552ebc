"""What a plugin is: the kinds that it brings, what it watches, its reconcilers, the rights that it needs.

This is the contract between the controller and everybody's plugins, the built-in one among them. No I/O.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self

from dask_k8s_controller.agent.answers import Demand, Retired
from dask_k8s_controller.resources import Key
from dask_k8s_controller.river.cache import Record
from dask_k8s_controller.river.plan import Plan
from dask_k8s_controller.watched import Watched, whole
from dask_k8s_crds.resources import Resource

__all__ = [
    "ENTRY_POINT_GROUP",
    "After",
    "Outcome",
    "Plugin",
    "Reconcile",
    "Reconciler",
    "Rule",
    "Wake",
    "Watched",
    "World",
    "whole",
]

ENTRY_POINT_GROUP = "dask_operator_plugin"


@dataclass(frozen=True, slots=True)
class After:
    """A reconcile's answer: look again in so many seconds, whatever happens until then."""

    seconds: float

    @classmethod
    def of(cls, seconds: float | None) -> Self | None:
        """Return the answer for so many seconds; None for none."""
        return None if seconds is None else cls(seconds)

    @staticmethod
    def soonest(*answers: After | None) -> After | None:
        """Return the earliest of several answers."""
        return min((answer for answer in answers if answer), key=lambda after: after.seconds, default=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan: the errors, in the order of the plan, each naming its object."""

    errors: tuple[Exception, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        """Return what became of two plans, one after the other."""
        return Outcome((*self.errors, *other.errors))

    def raise_errors(self) -> None:
        """Raise all of them as one group, so that the key comes again after a back-off."""
        if self.errors:
            message = "not all could be written"
            raise ExceptionGroup(message, self.errors)


class Agent(Protocol):
    """What a scheduler may be asked; all raise `AgentError` where it does not answer."""

    async def demand(self) -> Demand:
        """Return what there is to do and with what."""

    async def idle(self) -> float | None:
        """Return for how many seconds there has been nothing to do; None while there is."""

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        """Return of which of these pods a worker has registered; ``pods`` are IP addresses by name."""

    async def retire(self, pods: Mapping[str, str], count: int) -> Retired:
        """Have so many of these pods' workers hand over what they hold; ``pods`` are IP addresses by name.

        The scheduler chooses those that lose least. To be asked again until the pods are deleted.
        """


class World(Protocol):
    """What a reconcile sees and may do. It never lists or gets: it looks at the cache."""

    cluster_domain: str

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def get(self, key: Key) -> Record | None:
        """Return one object of a watched resource."""

    def owned(self, uid: str, resource: Resource) -> list[Record]:
        """Return the objects that this owner controls; what we have deleted counts as ``deleting``."""

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        """Return the objects in a namespace for which the watch's ``index`` gave this value."""

    def expected(self, uid: str, resource: Resource) -> frozenset[str]:
        """Return the names of what was created for this owner and is not in the cache yet."""

    def doubted(self, uid: str, resource: Resource) -> list[str]:
        """Return the names of what may have been created for this owner, though nobody has seen it.

        Trying the same names first makes sure that nothing is there twice.
        """

    def agent(self, cluster: Record) -> Agent | None:
        """Return the agent in the scheduler of a cluster; None where no scheduler lives, and so no data."""

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        """Write a plan for the object ``key`` with this ``uid``: concurrent, bounded, on after a failure."""

    async def report(self, key: Key, status: Mapping[str, Any]) -> After | None:
        """Write the status if it differs; at most once a second, else the answer says when."""


Reconcile = Callable[[Key, World], Awaitable[After | None]]
Wake = Callable[[Record, World], Iterable[Key]]
"""Which keys a changed object rings."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Brings the world in line with the objects of one resource.

    It is rung when an object of ``resource`` changes, or one that such an object controls
    (by owner reference), or one of the resources in ``wakes``, which says what keys a changed one rings.
    A reconcile may run at any time and any number of times; it is never told what happened.
    """

    resource: Resource
    reconcile: Reconcile
    wakes: Mapping[Resource, Wake] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A right that the controller needs, as in RBAC."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin as a value; its entry point in the group ``dask_operator_plugin`` names it.

    ``crds`` are the manifests of the kinds that it brings; each resource that a reconciler or a wake
    names has to be in ``watches``, its own or another plugin's. ``rules`` are its rights to write: those to
    watch, to report a status and to own what is made follow from the rest.
    """

    watches: tuple[Watched, ...] = ()
    reconcilers: tuple[Reconciler, ...] = ()
    crds: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[Rule, ...] = ()
