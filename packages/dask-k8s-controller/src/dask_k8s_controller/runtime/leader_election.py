"""Leader election with a Lease, by the rules of client-go's `tools/leaderelection`.

The durations are shorter than client-go's defaults, so that a standby leads at most 15 s after the leader was
killed: the leader may have renewed the lease just before, and 3 s remain for acquiring it, with one retry.

If somebody deletes the Lease, no candidate creates it before its last holder has stopped leading. This does
not hold if it is deleted again within seconds, because nothing remains that names the holder.

Nothing here knows Dask. `kubernetes.aio.leaderelection` is not used because it keeps leading while a request
hangs, stops after a single failed request, compares wall clocks, and does not release the lease.
"""

import asyncio
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_crds.api_errors import ApiError

logger = logging.getLogger(__name__)

LEASE_DURATION_SECONDS = 12
"""A candidate takes a lease that it has not seen renewed for this long."""
RENEW_DEADLINE_SECONDS = 8.0
"""A leader that has not renewed its lease for this long stops leading, before another one may begin."""
RETRY_PERIOD_SECONDS = 2.0
"""Time between two renewals, and between two attempts to acquire the lease after an error."""
REQUEST_TIMEOUT_SECONDS = RENEW_DEADLINE_SECONDS / 2
"""Leaves time for a second request if the first one hangs."""
WATCH_SECONDS = 240
"""How long a standby watches the lease before it begins a new watch."""


class LeaseLost(Exception):
    """The lease was not renewed in time, or another candidate holds it."""


@dataclass(slots=True)
class Election:
    """A candidate for the lease ``key``; ``on_lost`` is called at once when another one may lead soon."""

    api: Api
    key: Key
    on_lost: Callable[[], None]
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}_{uuid.uuid4()}")
    """A name that no other process has and that begins with the name of the pod."""
    clock: Clock = field(default_factory=Clock)
    random: Random = field(default_factory=Random)
    _lease: Body | None = None
    """The Lease as last observed, or None if it does not exist."""
    _observed_at: float = 0.0
    """When the Lease was first observed as it is now."""
    _held_until: float | None = None
    """Until when another one may lead although the Lease does not exist; None if it was not missing, or if
    it could not be acquired then."""
    _renewed_at: float | None = None
    """When the last successful renewal was sent; None for a standby."""
    _contested: bool = False
    """Whether another one may have changed or deleted the Lease since the last renewal."""

    def is_leader(self) -> bool:
        """Return whether this candidate leads; while it does, no other one can."""
        now, renewed_at = self.clock.monotonic(), self._renewed_at
        in_time = renewed_at is not None and now < renewed_at + RENEW_DEADLINE_SECONDS
        return in_time and not self._contested

    @asynccontextmanager
    async def leadership(self) -> AsyncIterator[None]:
        """Acquire the lease, renew it while the context lasts, and release it.

        If it cannot be renewed, cancel what runs in the context and raise a group with `LeaseLost`.
        """
        await self._acquire()
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(self._keep_renewing())
                yield
                renewing.cancel()
        finally:
            await self._release()

    async def _acquire(self) -> None:
        logger.info("Standby: waiting for the lease %s", self.key)
        while True:
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                    await self._read()
                    if self._is_free():
                        await self._acquire_or_renew()
                        break
                await self._watch_until_free()
            except (ApiError, TimeoutError) as error:
                if self._held_until is not None and self._held_until <= self.clock.monotonic():
                    # Another candidate may have created the lease since, and somebody may have deleted it.
                    self._held_until = None
                # With jitter, so that candidates do not all try at the same time.
                delay = RETRY_PERIOD_SECONDS * self.random.uniform(1.0, 1.2)
                message = _message(error)
                logger.info("cannot acquire the lease %s: %s; retrying in %.1f s", self.key, message, delay)
                await asyncio.sleep(delay)
        logger.info("Leader: acquired the lease %s as %s", self.key, self.identity)

    async def _keep_renewing(self) -> None:
        while self._renewed_at is not None:
            try:
                async with asyncio.timeout_at(self._renewed_at + RENEW_DEADLINE_SECONDS):
                    await asyncio.sleep(RETRY_PERIOD_SECONDS)
                    await self._renew()
            except TimeoutError:
                self._lose(f"it could not be renewed in {RENEW_DEADLINE_SECONDS:.0f} s")

    async def _renew(self) -> None:
        """Renew the lease; if it was changed or deleted, stop leading, look at it, and compete for it."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                if self._lease is not None:
                    try:
                        await self._acquire_or_renew()
                    except ApiError as error:
                        if error.status not in (404, 409):
                            raise
                        self._contested = True
                    else:
                        return
                await self._read()
                if self._lease is not None and self._holder != self.identity:
                    self._lose(f"{self._holder or 'nobody'} holds it")
                await self._acquire_or_renew()
        except (ApiError, TimeoutError) as error:
            logger.warning("cannot renew the lease %s: %s", self.key, _message(error))
            # Someone may have changed or deleted it, or the renewal may have succeeded: read it first.
            self._lease = None

    def _lose(self, reason: str) -> NoReturn:
        self._renewed_at = None
        logger.error("Lost the lease %s: %s; exiting, another controller may lead now", self.key, reason)
        self.on_lost()
        raise LeaseLost(reason)

    async def _release(self) -> None:
        """Release the lease, so that the next leader need not wait until it expires."""
        if not self.is_leader():
            return
        self._renewed_at = None
        try:
            async with asyncio.timeout(RETRY_PERIOD_SECONDS):
                await self._read()  # the last renewal may have been cancelled before its response came
                if self._holder == self.identity:
                    await self._write(None, seconds=1)
        except (ApiError, TimeoutError) as error:
            logger.warning("cannot release the lease %s: %s", self.key, _message(error))
        else:
            logger.info("Released the lease %s", self.key)

    # ---- the Lease

    @property
    def _spec(self) -> Body:
        return (self._lease or {}).get("spec") or {}

    @property
    def _holder(self) -> str:
        return self._spec.get("holderIdentity") or ""

    @property
    def _expires_at(self) -> float:
        """When the lease expires, counted from when it was observed, since clocks of machines differ."""
        if self._lease is None:
            return self._held_until or 0.0
        return self._observed_at + (self._spec.get("leaseDurationSeconds") or LEASE_DURATION_SECONDS)

    def _is_free(self) -> bool:
        released = self._lease is not None and self._holder in ("", self.identity)
        return released or self._expires_at <= self.clock.monotonic()

    async def _read(self) -> None:
        try:
            self._observe(await self.api.get(self.key.path()))
        except ApiError as error:
            if error.status != 404:
                raise
            self._observe_deletion()

    def _observe_deletion(self) -> None:
        """Record that the lease does not exist. Its holder leads until it notices that.

        The holder may be one that this candidate has never observed, so only the present time counts.
        """
        if self._lease is not None or self._held_until is None:
            self._held_until = self.clock.monotonic() + RENEW_DEADLINE_SECONDS
        self._lease = None

    def _observe(self, body: Body) -> None:
        if self._lease is None or _version(self._lease) != _version(body):
            self._lease, self._observed_at = body, self.clock.monotonic()

    async def _watch_until_free(self) -> None:
        """Watch the lease until it is released, deleted or expired."""
        events = self.api.watch(
            self.key.collection_path,
            idle_timeout=WATCH_SECONDS * 1.5,
            fieldSelector=f"metadata.name={self.key.name}",
            resourceVersion=_version(self._lease or {}),
            timeoutSeconds=str(WATCH_SECONDS),
        )
        async with aclosing(events):
            try:
                async with asyncio.timeout_at(self._expires_at) as timeout:
                    async for event in events:
                        if event["type"] == "DELETED":
                            self._observe_deletion()
                            return
                        self._observe(event["object"])
                        if not self._holder:
                            return
                        timeout.reschedule(self._expires_at)
            except TimeoutError:
                logger.info("the lease %s of %s has expired", self.key, self._holder)

    async def _acquire_or_renew(self) -> None:
        """Write the lease; the API server refuses it if another candidate was faster."""
        sent_at = self.clock.monotonic()
        await self._write(self.identity, seconds=LEASE_DURATION_SECONDS)
        self._renewed_at, self._contested = sent_at, False

    async def _write(self, holder: str | None, *, seconds: int) -> None:
        time = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": time}
        if self._holder != self.identity:
            spec["acquireTime"] = time
            spec["leaseTransitions"] = self._spec.get("leaseTransitions", -1) + 1
        if self._lease is None:
            resource, namespace, name = self.key
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            body = {**kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec}
            self._observe(await self.api.create(self.key.collection_path, body, fenced=False))
        else:
            patch = {"metadata": {"resourceVersion": _version(self._lease)}, "spec": spec}
            self._observe(await self.api.patch(self.key.path(), patch, fenced=False))


def _version(body: Body) -> str:
    return str(body.get("metadata", {}).get("resourceVersion", ""))


def _message(error: ApiError | TimeoutError) -> str:
    return str(error) or "no answer in time"
