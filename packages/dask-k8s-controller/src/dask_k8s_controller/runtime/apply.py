"""The only verb that writes: carry out a plan, concurrently and bounded, on after a failure."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.events import event
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Action, Create, Delete, Event, Patch, Plan
from dask_k8s_controller.runtime.results import Outcome, WriteError
from dask_k8s_controller.runtime.throttle import Throttle
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import EVENTS


@dataclass(slots=True)
class Applier:
    """Writes plans; ``clock`` gives seconds."""

    api: Api
    cache: Cache
    throttle: Throttle
    expectations: Expectations
    clock: Callable[[], float]

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        """Carry out a plan of the object ``key`` with this ``uid`` (the owner of what is created).

        Creations of one resource start slowly: one at a time, one more at a time for each that went
        well, and none after one that failed, so that a quota costs one refused request and not a
        thousand. The rest of the plan goes on after a failure.
        """
        errors: list[WriteError] = []
        batches = [deque(batch) for _, batch in groupby(plan.create, lambda create: create.resource)]
        async with asyncio.TaskGroup() as tasks:
            for batch in batches:
                _SlowStart(self, key, uid, batch, errors, tasks).start()
            for action in plan.others:
                tasks.create_task(self._collect(key, uid, action, errors))
        order = {id(action): place for place, action in enumerate(plan)}
        errors.sort(key=lambda error: order[id(error.action)])
        return Outcome(tuple(errors))

    async def write(self, key: Key, uid: str, action: Action) -> None:
        """Carry out one action; raise `WriteError` if it is refused."""
        async with self.throttle.slot(key):
            try:
                match action:
                    case Create():
                        await self._create(uid, action)
                    case Patch():
                        await self._patch(key, uid, action)
                    case Delete():
                        await self._delete(action)
                    case Event():
                        await self._create_event(action)
            except ApiError as error:
                if error.status == 429:
                    self.throttle.pause(error.retry_after or 1.0)
                raise WriteError(action, error) from error

    async def _collect(self, key: Key, uid: str, action: Action, errors: list[WriteError]) -> None:
        try:
            await self.write(key, uid, action)
        except WriteError as error:
            errors.append(error)

    async def _create(self, uid: str, action: Create) -> None:
        key = action.key
        self.expectations.creating(uid, key, now=self.clock())
        try:
            await self.api.create(key.resource.path(key.namespace), action.body)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                await self._claim(uid, action, error)
            elif error.answered:
                self.expectations.not_created(key)
                raise
            else:
                # It may exist all the same: it is expected for a while, and the next try has the same name.
                self.expectations.doubt_creation(key, now=self.clock())
                raise

    async def _claim(self, uid: str, action: Create, refusal: ApiError) -> None:
        """See whose the object is that has the name already: ours is as good as created."""
        key = action.key
        try:
            metadata = (await self.api.get(key.resource.path(key.namespace, key.name)))["metadata"]
        except ApiError:
            self.expectations.not_created(key)
            raise
        owners = [owner for owner in metadata.get("ownerReferences", ()) if owner.get("controller")]
        if any(owner["uid"] == uid for owner in owners):
            return
        self.expectations.not_created(key)
        whose = " and ".join(f"{owner['kind']} {owner['name']}" for owner in owners) or "nobody"
        message = f"{key} exists and is controlled by {whose}: delete or rename one of the two"
        raise ApiError(refusal.status, refusal.reason, message)

    async def _patch(self, owner: Key, uid: str, action: Patch) -> None:
        key = action.key
        try:
            if action.needs_owner and not await self._lives(owner, uid):
                return
            body = await self.api.patch(key.resource.path(key.namespace, key.name), action.body)
        except ApiError as error:
            # Gone, or changed meanwhile: the watch shows it, and the plan is made anew.
            if error.status != 404 and error.reason != "Conflict":
                raise
        else:
            self.cache.absorb(self.cache.record(key.resource, body))

    async def _lives(self, owner: Key, uid: str) -> bool:
        """Ask the server: what an owner adopts that is gone, and the cache does not know it, is lost."""
        metadata = (await self.api.get(owner.resource.path(owner.namespace, owner.name)))["metadata"]
        return metadata["uid"] == uid and "deletionTimestamp" not in metadata

    async def _create_event(self, action: Event) -> None:
        body = event(action, datetime.now(UTC))
        try:
            await self.api.create(EVENTS.path(body["metadata"]["namespace"]), body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def _delete(self, action: Delete) -> None:
        key = action.key
        self.expectations.deleting(action.uid, now=self.clock())
        try:
            await self.api.delete(key.resource.path(key.namespace, key.name), action.uid, action.version)
        except ApiError as error:
            if error.status == 409 and action.version is not None:
                # Changed meanwhile: the watch shows it, and the plan is made anew.
                self.expectations.not_deleted(action.uid)
            # Gone, or another object has its name by now: the one we meant does not exist.
            elif error.status not in (404, 409):
                if error.answered:
                    self.expectations.not_deleted(action.uid)
                else:
                    self.expectations.doubt_deletion(action.uid, now=self.clock())
                raise


@dataclass(slots=True)
class _SlowStart:
    """Creations of one resource, by a growing number of tasks."""

    applier: Applier
    key: Key
    uid: str
    waiting: deque[Create]
    errors: list[WriteError]
    tasks: asyncio.TaskGroup
    running: int = 0
    failed: bool = False

    def start(self) -> None:
        """Start one more task, if there is work for it."""
        if self.waiting and not self.failed and self.running < self.applier.throttle.slots:
            self.running += 1
            self.tasks.create_task(self._work())

    async def _work(self) -> None:
        while self.waiting and not self.failed:
            try:
                await self.applier.write(self.key, self.uid, self.waiting.popleft())
            except WriteError as error:
                self.failed = True
                self.errors.append(error)
            else:
                self.start()
