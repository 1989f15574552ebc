"""List and watch one resource into the cache, for ever: bookmarks, 410, silence, back-off."""

import asyncio
import logging
import random
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.watched import Watched
from dask_k8s_controller.runtime.work_queue import Pace
from dask_k8s_crds.api_errors import ApiError

logger = logging.getLogger(__name__)

PAGE = "500"


@dataclass(slots=True)
class Informer:
    """Keeps the cache true for one resource in one namespace (None: in all).

    The server is asked to end each watch after ``seconds``, give or take a fifth.
    """

    api: Api
    cache: Cache
    watched: Watched
    namespace: str | None
    seconds: int
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first list is in the cache."""
    pace: Pace = field(default_factory=Pace)
    _version: str | None = None
    _contact: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Run until cancelled."""
        self._heard()
        clock = asyncio.get_running_loop().time
        failures, wait = 0, self.pace.first_backoff
        while True:
            since = clock()
            try:
                if self._version is None:
                    await self._list()
                since = clock()
                await self._watch()
                failures = 0
            except ApiError as error:
                if clock() - since > wait:
                    # It went well for a while, as where a proxy cuts each watch after a minute.
                    failures = 0
                failures += 1
                if error.status == 410:
                    self._version = None
                    if failures == 1:
                        continue
                if error.answered and error.status != 401:
                    self._heard()
                wait = max(self.pace.backoff(failures) * random.uniform(0.8, 1.2), error.retry_after or 0.0)
                level = logging.WARNING if failures > 2 or error.answered else logging.INFO
                if error.status == 401:
                    level = logging.DEBUG  # said once for all requests where they are sent
                logger.log(level, "cannot watch %s: %s; next try in %.1f s", self, self._explain(error), wait)
                await asyncio.sleep(wait)

    @property
    def silence(self) -> float:
        """So many seconds without a byte, and the watch is dead: the server ends each one earlier."""
        return self.seconds * 1.5

    def silent_for(self) -> float:
        """Return the seconds since the API server last answered here."""
        return asyncio.get_running_loop().time() - self._contact

    def __str__(self) -> str:
        """The resource and where."""
        return f"{self.watched.resource} in {self.namespace or 'all namespaces'}"

    @property
    def _path(self) -> str:
        return self.watched.resource.path(self.namespace)

    async def _list(self) -> None:
        records = []
        parameters = {"limit": PAGE} | self._selector
        while True:
            page = await self.api.get(self._path, **parameters)
            self._heard()
            for body in page["items"]:
                # Items of a list carry neither, and a view must not differ by how it was obtained.
                body.setdefault("apiVersion", self.watched.resource.api_version)
                body.setdefault("kind", self.watched.resource.kind)
                records.append(self.cache.record(self.watched.resource, body))
            following = page["metadata"].get("continue")
            if not following:
                break
            parameters["continue"] = following
        self.cache.replace(self.watched.resource, self.namespace, records)
        self._version = page["metadata"]["resourceVersion"]
        self.synced.set()

    async def _watch(self) -> None:
        seconds = max(1, self.seconds * random.uniform(0.8, 1.2))
        parameters = {
            "resourceVersion": self._version or "",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(seconds)),
        } | self._selector
        events = self.api.watch(self._path, silence=self.silence, **parameters)
        async with aclosing(events):
            async for event in events:
                self._heard()
                self._take(event["type"], event["object"])
        self._heard()

    def _take(self, kind: str, body: dict[str, Any]) -> None:
        if kind != "BOOKMARK":
            record = self.cache.record(self.watched.resource, body)
            if kind == "DELETED":
                self.cache.remove(record)
            else:
                self.cache.set(record)
        self._version = body["metadata"]["resourceVersion"]

    @property
    def _selector(self) -> dict[str, str]:
        return {"labelSelector": self.watched.selector} if self.watched.selector else {}

    def _heard(self) -> None:
        self._contact = asyncio.get_running_loop().time()

    def _explain(self, error: ApiError) -> str:
        if error.status == 404:
            return f"the API server does not know them; install the CRDs ({error.message})"
        return str(error)
