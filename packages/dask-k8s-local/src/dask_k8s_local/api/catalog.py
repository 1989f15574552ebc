"""The collections that are served: built-in ones and those of CustomResourceDefinitions.

Contains no objects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dask_k8s_local import resources
from dask_k8s_local.api import reviews
from dask_k8s_local.resources import Resource
from dask_k8s_local.strategy import names, quotas, simple_kinds
from dask_k8s_local.strategy.base import Strategy
from dask_k8s_local.strategy.crds import CustomResourceDefinitions
from dask_k8s_local.strategy.jobs import Jobs
from dask_k8s_local.strategy.pods import Pods
from dask_k8s_local.strategy.services import Assign, Services


@dataclass(frozen=True, eq=False)
class Served:
    """A served version of a collection, with its strategy."""

    resource: Resource
    strategy: Strategy
    columns: tuple[Mapping[str, Any], ...] = ()
    """`additionalPrinterColumns` of a custom resource."""
    scale: Mapping[str, str] | None = None
    """The JSON paths of the scale subresource."""
    selectable: tuple[str, ...] = ()
    """Fields that field selectors can use, in addition to the common ones."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """The OpenAPI schema of a custom resource; empty for built-in kinds."""
    storage: bool = True


class Catalog:
    """The collections, by group, version and plural."""

    def __init__(self, assign: Assign) -> None:
        self.services = Services(resources.SERVICES, assign)
        self._served: dict[tuple[str, str, str], Served] = {}
        self.generation = 0
        """Increases with every change, to invalidate caches."""
        for resource in resources.BUILTIN:
            self.add(Served(resource, self._strategy(resource)))
        for resource in reviews.REVIEWS:
            self.add(Served(resource, Strategy(resource)))

    def find(self, group: str, version: str, plural: str) -> Served | None:
        """Return a collection."""
        return self._served.get((group, version, plural))

    def add(self, served: Served) -> None:
        """Add a collection, or replace an older definition of it."""
        resource = served.resource
        self._served[resource.group, resource.version, resource.plural] = served
        self.generation += 1

    def remove(self, group: str, plural: str) -> None:
        """Remove a collection in all versions."""
        for key in [key for key in self._served if (key[0], key[2]) == (group, plural)]:
            del self._served[key]
        self.generation += 1

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._served.values()))

    def _strategy(self, resource: Resource) -> Strategy:
        if resource is resources.SERVICES:
            return self.services
        make, check_name = _STRATEGIES.get(resource.key, (Strategy, names.subdomain))
        return make(resource, check_name=check_name)


_STRATEGIES: dict[str, tuple[type[Strategy], names.NameCheck]] = {
    "configmaps": (simple_kinds.DataObjects, names.subdomain),
    "secrets": (simple_kinds.DataObjects, names.subdomain),
    "events": (simple_kinds.Events, names.subdomain),
    "customresourcedefinitions.apiextensions.k8s.io": (CustomResourceDefinitions, names.subdomain),
    "jobs.batch": (Jobs, names.subdomain),
    "namespaces": (simple_kinds.Namespaces, names.label),
    "pods": (Pods, names.subdomain),
    "resourcequotas": (quotas.ResourceQuotas, names.subdomain),
    "serviceaccounts": (simple_kinds.ReturnsDeleted, names.subdomain),
    "roles.rbac.authorization.k8s.io": (Strategy, names.path_segment),
    "clusterroles.rbac.authorization.k8s.io": (Strategy, names.path_segment),
    "rolebindings.rbac.authorization.k8s.io": (simple_kinds.Bindings, names.path_segment),
    "clusterrolebindings.rbac.authorization.k8s.io": (simple_kinds.Bindings, names.path_segment),
}
