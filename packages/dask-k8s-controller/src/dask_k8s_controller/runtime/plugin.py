"""Plugins as values: custom resources, watches, reconcilers and permissions. No I/O.

This is the contract between the controller and all plugins, including the built-in one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.results import After
from dask_k8s_controller.runtime.watched import Watched
from dask_k8s_controller.runtime.world import World
from dask_k8s_crds.resources import Resource

W = TypeVar("W", bound=World)
Reconcile = Callable[[Key, W], Awaitable[After | None]]
Trigger = Callable[[Record, W], Iterable[Key]]
"""Returns the keys to reconcile after an object has changed."""


@dataclass(frozen=True, slots=True)
class Reconciler(Generic[W]):
    """Brings the children of the objects of one resource in line with their specs.

    A key is enqueued when an object of ``resource`` changes, when an object that it controls (by owner
    reference) changes, and when an object of a resource in ``triggers`` changes, whose function returns the
    keys to enqueue. A reconcile may run at any time, any number of times; it does not learn what changed.
    """

    resource: Resource
    reconcile: Reconcile[W]
    triggers: Mapping[Resource, Trigger[W]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A permission that the controller needs, as in an RBAC role."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin as a value; its entry point in the group ``dask_operator_plugin`` names it.

    ``crds`` are the manifests of its custom resources. Each resource of a reconciler or a trigger has to be
    in ``watches``, of this plugin or of another. ``rules`` are the permissions to read and write objects;
    those to watch, to write a status and to set owner references are derived from the rest.
    """

    watches: tuple[Watched, ...] = ()
    reconcilers: tuple[Reconciler[Any], ...] = ()
    crds: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[Rule, ...] = ()
