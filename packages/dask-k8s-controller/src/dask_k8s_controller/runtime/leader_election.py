"""Which of several controllers leads: a Lease, by the rules of client-go's `tools/leaderelection`.

It is shorter than client-go's 15 s, so that a standby leads within 15 s of a kill: the one that is killed may
have renewed it that moment, and what follows its end, a write and maybe a second try, has three seconds.

Nothing of Dask is known here. `kubernetes.aio.leaderelection` would lead on while a request hangs, end where
one is not answered, go by the wall clock, and give no lease back.
"""

import asyncio
import logging
import random
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_crds.api_errors import ApiError

logger = logging.getLogger(__name__)

LEASE_SECONDS = 12
"""So long after it was last seen to be renewed, nobody else takes the lease."""
RENEW_SECONDS = 8.0
"""So long after it was last renewed, its holder stops to lead: earlier than another may begin."""
RETRY_SECONDS = 2.0
"""Between two renewals, and between two tries of who does not get an answer."""
REQUEST_SECONDS = RENEW_SECONDS / 2
"""A request that hangs leaves time for another."""
WATCH_SECONDS = 240


class LeaseLost(Exception):
    """The lease was not renewed in time, or is somebody else's."""


def identity() -> str:
    """Return a name that no other process has, and that tells people which pod it is."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(slots=True)
class Election:
    """A candidate for the lease ``key``; times are seconds of the event loop.

    ``lost`` is called when another may lead soon, before anything else is done about it.
    """

    api: Api
    key: Key
    lost: Callable[[], None]
    identity: str = field(default_factory=identity)
    _seen: Body | None = None
    """The Lease as it was last seen, None where there is none."""
    _since: float = 0.0
    """Since when nothing else was seen."""
    _renewed: float | None = None
    """When the last renewal that went well was sent; None for who does not lead."""

    def leads(self) -> bool:
        """Whether this one leads, and nobody else can."""
        return self._renewed is not None and _now() < self._renewed + RENEW_SECONDS

    @asynccontextmanager
    async def term(self) -> AsyncIterator[None]:
        """Wait for the lease, hold it while the context lasts, and give it back.

        Raises a group with `LeaseLost`, and cancels what is in the context, when it cannot be held.
        """
        await self._acquire()
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(self._renew())
                yield
                renewing.cancel()
        finally:
            await self._release()

    async def _acquire(self) -> None:
        logger.info("Standby: waiting for the lease %s", self.key)
        while True:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._look()
                    if self._may_take():
                        await self._hold()
                        break
                await self._until_it_may()
            except (ApiError, TimeoutError) as error:
                # Jitter, so that those who wait do not all try at the same time.
                wait = RETRY_SECONDS * random.uniform(1.0, 1.2)
                logger.info("cannot get the lease %s: %s; next try in %.1f s", self.key, _words(error), wait)
                await asyncio.sleep(wait)
        logger.info("Leader: got the lease %s as %s", self.key, self.identity)

    async def _renew(self) -> None:
        while self._renewed is not None:
            try:
                async with asyncio.timeout_at(self._renewed + RENEW_SECONDS):
                    await asyncio.sleep(RETRY_SECONDS)
                    await self._renew_once()
            except TimeoutError:
                self._lose(f"it could not be renewed in {RENEW_SECONDS:.0f} s")

    async def _renew_once(self) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                if self._seen is None:
                    await self._look()
                if self._seen is not None and self._holder != self.identity:
                    self._lose(f"{self._holder or 'nobody'} has it")
                await self._hold()
        except (ApiError, TimeoutError) as error:
            logger.warning("cannot renew the lease %s: %s", self.key, _words(error))
            # Changed or gone meanwhile, or done all the same: look first.
            self._seen = None

    def _lose(self, why: str) -> NoReturn:
        self._renewed = None
        logger.error("Lost the lease %s: %s; ending, another may lead now", self.key, why)
        self.lost()
        raise LeaseLost(why)

    async def _release(self) -> None:
        """Give the lease back, so that the next one need not wait."""
        if not self.leads():
            return
        self._renewed = None
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._look()  # the last renewal may have been cut short
                if self._holder == self.identity:
                    await self._write(None, seconds=1)
        except (ApiError, TimeoutError) as error:
            logger.warning("cannot give the lease %s back: %s", self.key, _words(error))
        else:
            logger.info("Gave the lease %s back", self.key)

    # ---- the Lease

    @property
    def _spec(self) -> Body:
        return (self._seen or {}).get("spec") or {}

    @property
    def _holder(self) -> str:
        return self._spec.get("holderIdentity") or ""

    @property
    def _end(self) -> float:
        """When the lease runs out. It goes by when a change was seen: clocks of machines differ."""
        return self._since + (self._spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    def _may_take(self) -> bool:
        return self._holder in ("", self.identity) or self._end <= _now()

    async def _look(self) -> None:
        try:
            self._notice(await self.api.get(self.key.resource.path(self.key.namespace, self.key.name)))
        except ApiError as error:
            if error.status != 404:
                raise
            self._seen = None

    def _notice(self, body: Body) -> None:
        if self._seen is None or _version(self._seen) != _version(body):
            self._seen, self._since = body, _now()

    async def _until_it_may(self) -> None:
        """Follow the lease until it is given back, gone, or runs out."""
        events = self.api.watch(
            self.key.resource.path(self.key.namespace),
            silence=WATCH_SECONDS * 1.5,
            fieldSelector=f"metadata.name={self.key.name}",
            resourceVersion=_version(self._seen or {}),
            timeoutSeconds=str(WATCH_SECONDS),
        )
        async with aclosing(events):
            try:
                async with asyncio.timeout_at(self._end) as limit:
                    async for event in events:
                        self._notice(event["object"])
                        if event["type"] == "DELETED" or not self._holder:
                            return
                        limit.reschedule(self._end)
            except TimeoutError:
                logger.info("the lease %s of %s has run out", self.key, self._holder)

    async def _hold(self) -> None:
        """Take or renew the lease; the API server refuses it where somebody else was faster."""
        sent = _now()
        await self._write(self.identity, seconds=LEASE_SECONDS)
        self._renewed = sent

    async def _write(self, holder: str | None, *, seconds: int) -> None:
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": time}
        if self._holder != self.identity:
            spec["acquireTime"] = time
            spec["leaseTransitions"] = self._spec.get("leaseTransitions", -1) + 1
        collection = self.key.resource.path(self.key.namespace)
        if self._seen is None:
            metadata = {"namespace": self.key.namespace, "name": self.key.name}
            kind = {"apiVersion": self.key.resource.api_version, "kind": self.key.resource.kind}
            self._notice(await self.api.create(collection, {**kind, "metadata": metadata, "spec": spec}))
        else:
            metadata = {"resourceVersion": _version(self._seen)}
            self._notice(
                await self.api.patch(f"{collection}/{self.key.name}", {"metadata": metadata, "spec": spec})
            )


def _version(body: Body) -> str:
    return str(body.get("metadata", {}).get("resourceVersion", ""))


def _words(error: ApiError | TimeoutError) -> str:
    return str(error) or "no answer in time"


def _now() -> float:
    return asyncio.get_running_loop().time()
