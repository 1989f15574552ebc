"""Applies plans and status patches, concurrently and bounded. No other module writes to the API server.

The exceptions are the Lease of the leader election and the Secret of the signing key. What to write is
decided elsewhere.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Body, Key, Owner, controller_of
from dask_k8s_controller.runtime.plan import Action, Create, Delete, Event, Patch, Plan
from dask_k8s_controller.runtime.refusals import Refusals
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_controller.runtime.throttle import Priority, Throttle
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import EVENTS, Resource

AT_FIRST = 3
"""How many equal objects are created at a time at first."""


@dataclass(slots=True)
class Applier:
    """Writes to the API server, and updates cache and expectations with what it answers."""

    api: Api
    cache: Cache
    throttle: Throttle
    expectations: Expectations
    clock: Clock
    refusals: Refusals = field(init=False)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.expectations)

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        """Apply a plan of the object ``key`` with this ``uid`` (the owner of what is created).

        Creations of many equal objects start slowly: a few at a time at first, one more at a time for each
        success, and none after a failure, so that an exceeded quota costs a few refused requests and not a
        thousand. Everything else begins at once, and continues after a failure.
        """
        errors: list[WriteError] = []
        equal = (create for create in plan.create if create.is_one_of_many)
        batches = [deque(batch) for _, batch in groupby(equal, lambda create: create.resource)]
        others = deque(
            action for action in plan if not (isinstance(action, Create) and action.is_one_of_many)
        )
        async with asyncio.TaskGroup() as tasks:
            for batch in batches:
                start = _SlowStart(self, key, uid, batch, errors, tasks)
                for _ in range(AT_FIRST):
                    start.start()
            # No more tasks than requests that may run, whatever the plan's size.
            for _ in range(min(len(others), self.throttle.slots)):
                tasks.create_task(self._write_all(key, uid, others, errors))
        order = {id(action): place for place, action in enumerate(plan)}
        errors.sort(key=lambda error: order[id(error.action)])
        return Outcome(tuple(errors), self.pending(key, uid))

    def pending(self, key: Key, uid: str) -> tuple[WriteError, ...]:
        """Return the errors of earlier plans of an object whose writes are not repeated yet."""
        return self.refusals.pending(key, uid, now=self.clock.monotonic())

    async def write(self, key: Key, uid: str, action: Action) -> None:
        """Carry out one action; raise `WriteError` if the API server refuses it or does not answer."""
        resource = EVENTS if isinstance(action, Event) else action.key.resource
        async with self._slot(key, _priority(action), (type(action), resource)):
            try:
                match action:
                    case Create():
                        await self._create(key, uid, action)
                    case Patch():
                        await self._patch(key, uid, action)
                    case Delete():
                        await self._delete(action)
                    case Event():
                        await self._create_event(action)
            except ApiError as error:
                failure = self.refusals.failed(key, action, error, now=self.clock.monotonic())
                if self.cache.get(key) is None:
                    self.refusals.forget(key)  # deleted meanwhile
                raise failure from error
            self.refusals.succeeded(key, action)

    async def patch_status(self, key: Key, version: str, patch: Mapping[str, Any]) -> bool:
        """Patch the status of an object with this resource version; return whether the API server did it.

        It refuses the patch if the object has another resource version by now, or is another object of the
        same name. The watch shows the change then, and the next reconcile reports again.
        """
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        async with self._slot(key, Priority.STATUS, ("status", key.resource)):
            try:
                answer = await self.api.patch(key.path("status"), body)
            except ApiError as error:
                if error.reason == "Conflict" or (error.status == 404 and error.about == key.name):
                    return False
                if error.status != 404:
                    raise
                message = f"{key.resource} has no status subresource; apply the CRDs of this version"
                raise ApiError(error.status, error.reason, message) from error
        self._show(key.resource, answer)
        return True

    async def exists(self, key: Key, uid: str, version: int | None = None) -> bool:
        """Ask the API server whether this object, or this version of it, exists and is not being deleted."""
        async with self._slot(key, Priority.CHANGE, ("exists", key.resource)):
            return await self._exists(key, uid, version)

    @asynccontextmanager
    async def _slot(self, key: Key, priority: Priority, kind: Hashable) -> AsyncIterator[None]:
        """Wait for a slot of the throttle, and hold it; report an overloaded API server to the throttle."""
        async with self.throttle.slot(key, priority, kind):
            try:
                yield
            except ApiError as error:
                if error.status == 429:
                    self.throttle.pause(error.retry_after or 1.0)
                if error.status == 429 or error.reason == "Timeout":
                    self.throttle.overloaded()
                raise

    async def _exists(self, key: Key, uid: str, version: int | None = None) -> bool:
        try:
            metadata = (await self.api.get(key.path()))["metadata"]
        except ApiError as error:
            if error.is_absence:
                return False
            raise
        is_current = version is None or metadata["resourceVersion"] == str(version)
        return is_current and metadata["uid"] == uid and "deletionTimestamp" not in metadata

    async def _write_all(self, key: Key, uid: str, pending: deque[Action], errors: list[WriteError]) -> None:
        while pending:
            try:
                await self.write(key, uid, pending.popleft())
            except WriteError as error:
                errors.append(error)

    async def _create(self, owner: Key, uid: str, action: Create) -> None:
        key = action.key
        self.expectations.expect_creation(uid, key, now=self.clock.monotonic())
        try:
            await self.api.create(key.collection_path, action.body)
        except ApiError as error:
            if error.reason == "AlreadyExists" and action.named_by_content:
                return
            if error.reason == "AlreadyExists":
                await self._check_controller(owner, uid, action, error)
            elif error.answered:
                self.expectations.drop_creation(key)
                raise
            else:
                # The object may exist all the same. The next attempt uses the same name.
                self.expectations.creation_unanswered(key, now=self.clock.monotonic())
                raise

    async def _check_controller(self, owner: Key, uid: str, action: Create, refusal: ApiError) -> None:
        """Raise an error that names who controls the object that exists, unless the owner does."""
        key = action.key
        try:
            controller = controller_of(await self.api.get(key.path()))
        except ApiError:
            self.expectations.drop_creation(key)
            raise
        if controller == Owner.of(owner, uid) and key.namespace == owner.namespace:
            return
        self.expectations.drop_creation(key)
        message = (
            f"{key} exists and is controlled by {controller or 'nobody'}: delete or rename one of the two"
        )
        raise ApiError(refusal.status, refusal.reason, message)

    async def _patch(self, owner: Key, uid: str, action: Patch) -> None:
        key = action.key
        try:
            # An object that a deleted owner adopted would be garbage-collected.
            if action.needs_owner and not await self._exists(owner, uid):
                return
            body = await self.api.patch(key.path(), action.body)
        except ApiError as error:
            # Deleted or changed meanwhile: the watch shows it, and the next reconcile makes a new plan.
            if error.status != 404 and error.reason != "Conflict":
                raise
        else:
            self._show(key.resource, body)

    def _show(self, resource: Resource, body: Body) -> None:
        """Store the state that the API server returned for a write."""
        if (record := self.cache.read(resource, body)) is not None:
            self.cache.set_from_response(record)

    async def _create_event(self, action: Event) -> None:
        body = action.manifest(self.clock.now())
        try:
            await self.api.create(EVENTS.path(body["metadata"]["namespace"]), body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def _delete(self, action: Delete) -> None:
        key = action.key
        self.expectations.expect_deletion(action.uid, now=self.clock.monotonic())
        try:
            await self.api.delete(key.path(), action.uid, action.version)
        except ApiError as error:
            if error.status == 409 and action.version is not None:
                # Changed meanwhile: the watch shows it, and the next reconcile makes a new plan.
                self.expectations.drop_deletion(action.uid)
            # 404, or 409 because another object has the name: the object to delete does not exist any more.
            elif error.status not in (404, 409):
                if error.answered:
                    self.expectations.drop_deletion(action.uid)
                else:
                    self.expectations.deletion_unanswered(action.uid, now=self.clock.monotonic())
                raise


def _priority(action: Action) -> Priority:
    match action:
        case Patch() | Delete():
            return Priority.CHANGE
        case Create(is_one_of_many=False):
            return Priority.START
        case _:
            return Priority.CREATE


@dataclass(slots=True)
class _SlowStart:
    """Creates objects of one resource with a growing number of tasks."""

    applier: Applier
    key: Key
    uid: str
    pending: deque[Create]
    errors: list[WriteError]
    tasks: asyncio.TaskGroup
    running: int = 0
    failed: bool = False

    def start(self) -> None:
        """Start one more task if there is work for it."""
        if self.pending and not self.failed and self.running < self.applier.throttle.slots:
            self.running += 1
            self.tasks.create_task(self._work())

    async def _work(self) -> None:
        while self.pending and not self.failed:
            try:
                await self.applier.write(self.key, self.uid, self.pending.popleft())
            except WriteError as error:
                self.failed = True
                self.errors.append(error)
            else:
                self.start()
