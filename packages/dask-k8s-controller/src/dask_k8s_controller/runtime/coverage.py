"""Which reconcilers may run in which namespaces: those for which the cache is complete there. No I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

from dask_k8s_controller.runtime.informer import Informer
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Plugin, Reconciler
from dask_k8s_crds.resources import Resource


def needed(reconciler: Reconciler[Any], plugin: Plugin, plugins: Iterable[Plugin]) -> frozenset[Resource]:
    """Return the resources that a reconciler reads: all that its plugin watches.

    A trigger of a resource that only other plugins watch also needs all that these watch.
    """
    resources = {watched.resource for watched in plugin.watches}
    foreign = {reconciler.resource, *reconciler.triggers} - resources
    for other in plugins:
        watched = {each.resource for each in other.watches}
        if watched & foreign:
            resources |= watched
    return frozenset(resources)


@dataclass(slots=True)
class Coverage:
    """The informers that each reconciler needs in each namespace (None: in all namespaces).

    With a part of them missing it could not see its own objects, and would create or delete by mistake.
    """

    plugins: InitVar[Sequence[Plugin]]
    informers: Sequence[Informer]
    _needed: dict[tuple[Resource, str | None], tuple[Informer, ...]] = field(default_factory=dict)

    def __post_init__(self, plugins: Sequence[Plugin]) -> None:
        for plugin in plugins:
            for reconciler in plugin.reconcilers:
                resources = needed(reconciler, plugin, plugins)
                for namespace in {informer.namespace for informer in self.informers}:
                    self._needed[reconciler.resource, namespace] = tuple(
                        informer
                        for informer in self.informers
                        if informer.namespace == namespace and informer.watched.resource in resources
                    )

    def covers(self, key: Key) -> bool:
        """Return whether an object may be reconciled."""
        resource, namespace, _ = key
        informers = self._needed.get((resource, None)) or self._needed.get((resource, namespace), ())
        return bool(informers) and _complete(informers)

    def serves_any(self) -> bool:
        """Return whether the objects of at least one kind are reconciled in at least one namespace."""
        return any(_complete(informers) for informers in self._needed.values())

    def gaps(self) -> Iterator[str]:
        """Describe each informer that is not complete, and what is not reconciled because of it."""
        for informer in self.informers:
            if not informer.synced.is_set():
                kinds = sorted(key[0].kind for key, needed in self._needed.items() if informer in needed)
                consequence = f"; not reconciled there: {', '.join(kinds)}" if kinds else ""
                yield f"{informer} {informer.problem}{consequence}"


def _complete(informers: Iterable[Informer]) -> bool:
    return all(informer.synced.is_set() for informer in informers)
