"""The world as a reconcile sees it: an interface, so that reconcilers can be tested without an API server."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Plan
from dask_k8s_controller.runtime.results import After, Outcome
from dask_k8s_crds.resources import Resource


class World(Protocol):
    """What a reconcile sees and may do. It never lists or gets: it looks at the cache."""

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

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        """Write a plan for the object ``key`` with this ``uid``: concurrent, bounded, on after a failure."""

    async def report(self, key: Key, status: Mapping[str, Any]) -> After | None:
        """Write the status if it differs; at most once a second, else the answer says when."""
