"""Keeps the cache up to date for one resource: lists, watches, and starts again after any failure."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.cache import Cache, Watched
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.object_errors import identify
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

logger = logging.getLogger(__name__)

PAGE_SIZE = "500"


@dataclass(slots=True)
class Informer:
    """Lists and watches one resource in one namespace (None: in all namespaces).

    Each watch asks the API server to end it after ``watch_seconds``, plus or minus a fifth.
    """

    api: Api
    cache: Cache
    watched: Watched
    namespace: str | None
    watch_seconds: int
    clock: Clock = field(default_factory=Clock)
    random: Random = field(default_factory=Random)
    backoff: Backoff = field(default_factory=Backoff)
    on_synced: "Callable[[Informer], None]" = lambda _: None
    """Called each time that ``synced`` is set."""
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the cache is complete: from the first list until the API server refuses another request."""
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first list is in the cache, or the first attempt has failed."""
    problem: str = "not listed yet"
    """Why it is not synced."""
    _version: str | None = None
    """The resource version from which to watch; None if a list is needed first."""
    _last_contact: float = field(init=False)

    def __post_init__(self) -> None:
        self._record_contact()

    async def run(self) -> None:
        """Run until cancelled."""
        self._record_contact()
        failures, delay = 0, self.backoff.first
        while True:
            started = self.clock.monotonic()
            try:
                if self._version is None:
                    await self._list()
                started = self.clock.monotonic()
                await self._watch()
            except Exception as raised:  # noqa: BLE001  # whatever happens, the watch goes on
                if self.clock.monotonic() - started > delay:
                    # The watch worked for a while, as with a proxy that cuts every watch after a minute.
                    failures = 0
                failures += 1
                # No local variable may keep the error: its frames hold what was read of a list or watch.
                pause = self._handle_failure(raised, failures)
            else:
                failures, pause = 0, None
            if pause is not None:
                delay = pause
                await asyncio.sleep(delay)

    @property
    def idle_timeout(self) -> float:
        """Seconds without data after which a watch is dead; the API server ends each watch earlier."""
        return self.watch_seconds * 1.5

    def seconds_since_contact(self) -> float:
        """Return the seconds since the API server last answered this informer, except while it pauses."""
        return max(0.0, self.clock.monotonic() - self._last_contact)

    def __str__(self) -> str:
        return f"{self.watched.resource} in {self.namespace or 'all namespaces'}"

    @property
    def _selector(self) -> dict[str, str]:
        selectors = {"labelSelector": self.watched.selector, "fieldSelector": self.watched.fields}
        return {name: selector for name, selector in selectors.items() if selector}

    async def _list(self) -> None:
        records, unreadable, resource = [], set(), self.watched.resource
        parameters = {"limit": PAGE_SIZE} | self._selector
        while True:
            page = await self.api.get(resource.path(self.namespace), **parameters)
            self._record_contact()
            items, metadata = _page(page, resource)
            for body in items:
                if isinstance(body, dict):
                    # Items of a list lack both; trimmed objects must not depend on how they were read.
                    body.setdefault("apiVersion", resource.api_version)
                    body.setdefault("kind", resource.kind)
                record = self.cache.read(resource, body)
                if record is None:
                    unreadable.add(identify(resource, body))
                else:
                    records.append(record)
            if not metadata.get("continue"):
                break
            parameters["continue"] = metadata["continue"]
        self.cache.replace(resource, self.namespace, records, unreadable)
        self._version = metadata["resourceVersion"]
        self._succeed()

    async def _watch(self) -> None:
        seconds = max(1, self.watch_seconds * self.random.uniform(0.8, 1.2))
        parameters = {
            "resourceVersion": self._version or "",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(seconds)),
        } | self._selector
        path = self.watched.resource.path(self.namespace)
        events = self.api.watch(path, idle_timeout=self.idle_timeout, on_open=self._succeed, **parameters)
        async with aclosing(events):
            async for event in events:
                self._record_contact()
                self._handle(event["type"], event["object"])
        self._record_contact()

    def _handle(self, event_type: str, body: dict[str, Any]) -> None:
        resource = self.watched.resource
        if event_type == "DELETED":
            self.cache.remove_body(resource, body)
        elif event_type != "BOOKMARK" and (record := self.cache.read(resource, body)) is not None:
            self.cache.set(record)
        metadata = body.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        # Without one, the next watch begins before this event, which then comes again.
        self._version = version if isinstance(version, str) else self._version

    def _handle_failure(self, raised: Exception, failures: int) -> float | None:
        """Return how many seconds to wait after a failure; None to list again at once."""
        error = self._as_api_error(raised)
        if error.status == 410:
            self._version = None
            if failures == 1:
                return None
        jittered = self.backoff.delay(failures) * self.random.uniform(0.8, 1.2)
        delay = max(jittered, error.retry_after or 0.0)
        if error.answered and error.status != 401:
            self._record_contact(silence=delay)
        self._log(error, failures, delay)
        self._fail(error)
        return delay

    def _as_api_error(self, error: Exception) -> ApiError:
        """Return an `ApiError` as it is; log any other error, which is a defect, and list again."""
        if isinstance(error, ApiError):
            return error
        logger.error("the watch of %s failed", self, exc_info=error)
        self._version = None
        return ApiError(0, "InternalError", str(error))

    def _succeed(self) -> None:
        self._record_contact()
        self.tried.set()
        if not self.synced.is_set():
            self.synced.set()
            self.on_synced(self)

    def _fail(self, error: ApiError) -> None:
        self.tried.set()
        state = "not listed yet" if self._version is None else "not watched any more"
        self.problem = f"{state}: {error}"
        if error.status in (403, 404):
            # Not a failure that passes soon: until the API server shows the objects again, they may change.
            self.synced.clear()

    def _record_contact(self, silence: float = 0.0) -> None:
        """Record that the API server has answered; no answer is due for some seconds after that."""
        self._last_contact = self.clock.monotonic() + silence

    def _log(self, error: ApiError, failures: int, delay: float) -> None:
        level = logging.WARNING if failures > 2 or error.answered else logging.INFO
        if error.status == 401:
            level = logging.DEBUG  # `Api` logs rejected credentials once for all requests
        message = str(error)
        if error.status == 404:
            message = f"the API server does not know them; install the CRDs ({error.message})"
        logger.log(level, "cannot watch %s: %s; retrying in %.1f s", self, message, delay)


def _page(page: Any, resource: Resource) -> tuple[list[Any], dict[str, Any]]:
    """Return items and metadata of one page of a list."""
    match page:
        case {"metadata": {"resourceVersion": str()} as metadata, "items": list(items)}:
            return items, metadata
        case {"metadata": {"resourceVersion": str()} as metadata, "items": None}:
            return [], metadata
    raise ApiError(0, "InvalidResponse", f"the answer is not a list of {resource}")
