"""WATCH: writes the events of a collection to a client until the timeout. Does not change objects."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from dask_k8s_local.api import errors, listing, selectors
from dask_k8s_local.api.negotiation import Encoder
from dask_k8s_local.api.request import Request
from dask_k8s_local.store import Dropped, Event, Gone, Store, Stored, namespace_of

_BOOKMARK_SECONDS = 60
_TIMEOUT_SECONDS = (1800, 3600)
_INITIAL_END = {"k8s.io/initial-events-end": "true"}

Write = Callable[[bytes], Awaitable[None]]


async def watch(
    store: Store, http: web.BaseRequest, request: Request, encoder: Encoder
) -> web.StreamResponse:
    """Write events until the timeout, or until the client disconnects."""
    stream = WatchStream(store, request, encoder)
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(http)
    try:
        await stream.run(response.write)
    except Dropped:
        pass  # the CustomResourceDefinition was deleted; the watch ends
    except Gone as error:
        status = errors.expired(error.detail).status()
        await response.write(b'{"type":"ERROR","object":%s}\n' % orjson.dumps(status))
    await response.write_eof()
    return response


class WatchStream:
    """One watch."""

    def __init__(self, store: Store, request: Request, encoder: Encoder) -> None:
        self._store = store
        self._request = request
        self._encoder = encoder
        self._resource = request.served.resource
        self._since = listing.version(request)
        self._bookmarks = request.flag("allowWatchBookmarks")
        query = request.query
        fields = query.get("fieldSelector", "")
        self._matches = selectors.selector(request.served, query.get("labelSelector", ""), fields)
        seconds = listing.number(request, "timeoutSeconds") or random.uniform(*_TIMEOUT_SECONDS)
        self._ends = asyncio.get_running_loop().time() + seconds

    async def run(self, write: Write) -> None:
        """Write events until the timeout."""
        since = await self._begin(write)
        time = asyncio.get_running_loop().time
        due = time() + _BOOKMARK_SECONDS if self._bookmarks else self._ends
        while True:
            lines, since = (
                b"".join(map(self._line, self._store.events(self._resource, since))),
                self._store.version,
            )
            if self._bookmarks and time() >= min(due, self._ends):
                lines += self._encoder.bookmark(since)
                due = time() + _BOOKMARK_SECONDS
            if lines:
                await write(lines)
            if time() >= self._ends:
                return
            try:
                async with asyncio.timeout_at(min(due, self._ends)):
                    await self._store.wait_for_change(self._resource, since)
            except TimeoutError:
                continue

    async def _begin(self, write: Write) -> int:
        """Return the version to continue from; without one, write the existing objects first."""
        send_initial = self._request.flag("sendInitialEvents")
        if self._since and not send_initial:
            return self._since
        since = self._store.version
        if send_initial or "sendInitialEvents" not in self._request.query:
            present = listing.select(self._store, self._request)
            lines = b"".join(self._encoder.event("ADDED", obj) for obj in present)
            if send_initial and self._bookmarks:
                lines += self._encoder.bookmark(since, _INITIAL_END)
            await write(lines)
        return since

    def _line(self, event: Event) -> bytes:
        """Encode an event; an object that no longer matches the selector is reported as DELETED."""
        namespace = self._request.namespace
        if namespace is not None and namespace_of(event.object) != namespace:
            return b""
        kind: str = event.type
        if self._matches is not None:
            before = event.previous is not None and self._matches(event.previous)
            after = event.type != "DELETED" and self._matches(event.object)
            if not before and not after:
                return b""
            kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
        return self._encoder.event(kind, self._shown(kind, event))

    @staticmethod
    def _shown(kind: str, event: Event) -> Stored:
        """Return a DELETED object as it last matched, with the version of the event."""
        if kind != "DELETED" or event.type == "DELETED" or event.previous is None:
            return event.object
        version = {"resourceVersion": str(event.version)}
        return Stored({**event.previous, "metadata": {**event.previous["metadata"], **version}})
