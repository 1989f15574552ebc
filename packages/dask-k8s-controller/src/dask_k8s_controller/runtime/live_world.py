"""The world as a reconcile sees it: the cache corrected by expectations, and the two verbs that write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.cache import Cache, Record
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Plan
from dask_k8s_controller.runtime.results import After, Outcome, WriteError
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

STATUS_SECONDS = 1.0
"""At most one status is written per object in so many seconds."""


@dataclass(slots=True)
class LiveWorld:
    """`dask_k8s_controller.runtime.plugin.World` on a real API server."""

    api: Api
    cache: Cache
    expectations: Expectations
    applier: Applier
    clock: Callable[[], float]
    remind: Callable[[Key, float], None]
    """Rings a key in so many seconds."""
    _reported: dict[Key, float] = field(default_factory=dict)

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    def get(self, key: Key) -> Record | None:
        """Return one object of a watched resource."""
        return self.cache.get(key)

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        """Return the objects in a namespace for which the watch's ``index`` gave this value."""
        return self.cache.find(resource, namespace, index)

    def owned(self, uid: str, resource: Resource) -> list[Record]:
        """Return what an owner controls; what we have deleted counts as ``deleting``."""
        now = self.clock()
        return [
            record._replace(deleting=record.deleting or self.expectations.deleted(record.uid, now=now))
            for record in self.cache.owned(uid, resource)
        ]

    def expected(self, uid: str, resource: Resource) -> frozenset[str]:
        """Return the names of what was created for this owner and is not in the cache yet."""
        keys = self.expectations.created(uid, now=self.clock())
        return frozenset(key.name for key in keys if key.resource == resource)

    def doubted(self, uid: str, resource: Resource) -> list[str]:
        """Return the names of what may have been created for this owner, though nobody has seen it."""
        return [key.name for key in self.expectations.doubted(uid) if key.resource == resource]

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        """Write a plan; look again when what was written, or is in doubt, must have been seen."""
        if not plan:
            return Outcome()
        outcome = await self.applier.apply(key, uid, plan)
        if plan.create or plan.delete:
            self.remind(key, self.expectations.patience)
        if any(isinstance(error, WriteError) and error.in_doubt for error in outcome.errors):
            self.remind(key, self.expectations.doubt)
        return outcome

    async def report(self, key: Key, status: Mapping[str, Any]) -> After | None:
        """Write the status if it differs from what the object has."""
        record = self.cache.get(key)
        if record is None:
            return None
        known = record.value.get("status") or {}
        patch = {name: status.get(name) for name in {*known, *status} if known.get(name) != status.get(name)}
        if not patch:
            return None
        wait = self._reported.get(key, -STATUS_SECONDS) + STATUS_SECONDS - self.clock()
        if wait > 0:
            return After(wait)
        self._reported[key] = self.clock()
        async with self.applier.throttle.slot(key):
            try:
                body = await self.api.patch(
                    key.resource.path(key.namespace, key.name, "status"), {"status": patch}
                )
            except ApiError as error:
                if error.status != 404:
                    raise
                if error.about == key.name:
                    return None
                message = f"{key.resource} has no status subresource; apply the CRDs of this version"
                raise ApiError(error.status, error.reason, message) from error
        self.cache.absorb(self.cache.record(key.resource, body))
        return None

    def forget(self, key: Key) -> None:
        """Drop what is remembered of an object that is gone."""
        self._reported.pop(key, None)
