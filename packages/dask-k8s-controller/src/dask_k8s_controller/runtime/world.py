"""The protocol through which reconcilers read and write, so that their tests need no API server."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Plan
from dask_k8s_controller.runtime.results import After, Outcome
from dask_k8s_crds.resources import Resource


class World(Protocol):
    """What a reconcile can read and do. Reads come from the cache; only `exists` sends a request."""

    def now(self) -> datetime:
        """Return the time of the API server, in UTC: the one with which its timestamps and ours compare."""

    def get(self, key: Key) -> Record | None:
        """Return one object of a watched resource, or None if the cache does not have it."""

    def owned(self, owner: Record, resource: Resource) -> list[Record]:
        """Return the objects that ``owner`` controls; those that we deleted count as ``deleting``.

        An object in another namespace, or one whose owner reference differs in any field, is not owned.
        """

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        """Return the objects in a namespace for which ``index`` of the watch returned this value."""

    def expected(self, owner: Record, resource: Resource) -> frozenset[str]:
        """Return the names of objects that were created for this owner and are not in the cache yet."""

    def doubted(self, owner: Record, resource: Resource) -> list[str]:
        """Return the names of objects that may have been created for this owner, but never appeared.

        Use these names first: if such an object exists, the API server refuses to create it twice.
        """

    async def exists(self, key: Key, uid: str, version: int | None = None) -> bool:
        """Ask the API server whether this object, or this version of it, exists and is not being deleted.

        Use this only before a decision that cannot be undone: the cache may lag, and this sends a request.
        """

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        """Apply a plan of the object ``key`` with this ``uid``: concurrently, and on after a failure."""

    async def report(self, record: Record, status: Mapping[str, Any]) -> After | None:
        """Write the status of the object in ``record`` if it differs, at most once a second.

        Nothing is written to another object of the same name. Conditions of types that ``status`` does not
        contain stay as others wrote them. Return when to try again if the status was not written, because
        it is too early or because somebody else has just changed the object.
        """
