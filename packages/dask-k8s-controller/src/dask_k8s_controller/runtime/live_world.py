"""`World` on a real API server: the cache, corrected by expectations, and writes through the applier."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.cache import Cache, Record
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Plan
from dask_k8s_controller.runtime.refusals import LASTING_SECONDS
from dask_k8s_controller.runtime.results import After, Outcome, WriteError
from dask_k8s_controller.runtime.status_patch import status_patch
from dask_k8s_crds.resources import Resource

# ruff: noqa: D102  # the methods are documented in `World`

STATUS_SECONDS = 1.0
"""Minimum time between two status writes of one object."""
TIMER_SECONDS = 0.001
"""Timers are no more exact than this; to wait for less would only repeat a reconcile."""


@dataclass(slots=True)
class LiveWorld:
    """Implements `dask_k8s_controller.runtime.world.World`."""

    cache: Cache
    expectations: Expectations
    applier: Applier
    clock: Clock
    enqueue_after: Callable[[Key, float], None]
    """Enqueues a key after some seconds, whatever turns it has until then."""
    _status_written: dict[Key, float] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.clock.now()

    def get(self, key: Key) -> Record | None:
        return self.cache.get(key)

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        return self.cache.find(resource, namespace, index)

    def owned(self, owner: Record, resource: Resource) -> list[Record]:
        now, expects_deletion = self.clock.monotonic(), self.expectations.expects_deletion
        return [
            record._replace(deleting=True) if expects_deletion(record.uid, now=now) else record
            for record in self.cache.owned(owner, resource)
        ]

    def expected(self, owner: Record, resource: Resource) -> frozenset[str]:
        keys = self.expectations.creations(owner.uid, now=self.clock.monotonic())
        return frozenset(key.name for key in keys if key.resource == resource)

    def doubted(self, owner: Record, resource: Resource) -> list[str]:
        keys = self.expectations.doubted(owner.uid, now=self.clock.monotonic())
        return [key.name for key in keys if key.resource == resource]

    async def exists(self, key: Key, uid: str, version: int | None = None) -> bool:
        return await self.applier.exists(key, uid, version)

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        if not plan:
            return Outcome(pending=self.applier.pending(key, uid))
        outcome = await self.applier.apply(key, uid, plan)
        if self._expects(uid, plan):
            # Reconcile again when the expectations of these writes expire.
            self.enqueue_after(key, self.expectations.timeout)
        if any(isinstance(error, WriteError) and not error.is_refusal for error in outcome.failures):
            # If it lasts, the status has to show it in time, however long the back-off is.
            self.enqueue_after(key, LASTING_SECONDS)
        return outcome

    def _expects(self, uid: str, plan: Plan) -> bool:
        """Return whether the watch has yet to show something that the API server has created or deleted.

        What it did not answer is expected for a shorter time, and its retry is due with that of the error.
        """
        if not (plan.create or plan.delete):
            return False
        then = self.clock.monotonic() + self.expectations.unanswered_timeout
        return bool(self.expectations.creations(uid, now=then)) or any(
            self.expectations.expects_deletion(each.uid, now=then) for each in plan.delete
        )

    async def report(self, record: Record, status: Mapping[str, Any]) -> After | None:
        key = record.key
        current = self.cache.get(key)
        if current is None or current.uid != record.uid:
            return None
        patch = status_patch(current.value, status)
        if not patch:
            return None
        now = self.clock.monotonic()
        delay = self._status_written.get(key, -STATUS_SECONDS) + STATUS_SECONDS - now
        if delay > TIMER_SECONDS:
            return After(delay)
        self._status_written[key] = now
        written = await self.applier.patch_status(key, str(current.version), patch)
        return None if written else After(STATUS_SECONDS)

    def forget(self, key: Key) -> None:
        """Drop what is remembered about an object that was deleted."""
        self._status_written.pop(key, None)
        self.applier.refusals.forget(key)
