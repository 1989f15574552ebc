"""A plugin, as the built-in one is too: custom resources, watches, reconcilers and permissions. No I/O."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dask_k8s_controller.runtime.cache import Record, Watched
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.results import After
from dask_k8s_controller.runtime.world import World
from dask_k8s_crds.resources import Resource

W = TypeVar("W", bound=World)
Reconcile = Callable[[Key, W], Awaitable[After | None]]
Trigger = Callable[[Record, W], Iterable[Key]]
"""Returns the keys to reconcile after an object has changed."""


@dataclass(frozen=True, slots=True)
class Reconciler(Generic[W]):
    """Brings the children of the objects of one resource in line with their specs.

    A key is enqueued when its object changes, when an object that it controls (by owner reference) changes,
    and when a function in ``triggers`` returns it because an object of that resource has changed. A reconcile
    may run at any time, any number of times; it does not learn what changed.
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
    """A plugin; its entry point in the group ``dask_operator_plugin`` names it.

    Attributes:
        watches: The resources to watch. Each resource of a reconciler or a trigger must be watched, by this
            plugin or by another.
        reconcilers: At most one for each resource, among all plugins.
        crds: The manifests of the plugin's custom resources.
        rules: The permissions to read and write objects. Those to watch, to write a status and to set owner
            references are derived from the other attributes.
    """

    watches: tuple[Watched, ...] = ()
    reconcilers: tuple[Reconciler[Any], ...] = ()
    crds: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[Rule, ...] = ()
