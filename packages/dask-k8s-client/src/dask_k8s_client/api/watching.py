"""Watches: the objects of a collection as they change, always as a whole."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import TypeVar

import aiohttp

from dask_k8s_client.api.requests import EVERYTHING, Api, Objects, Selector, lines
from dask_k8s_client.arguments import JSON
from dask_k8s_client.waiting import RETRY_SECONDS, backoff
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

logger = logging.getLogger("dask_k8s_client")

T = TypeVar("T")

FIRST_VIEW_SECONDS = 5.0
"""How long to wait for the first list of what is only displayed."""

_WATCH_PARAMS = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": "600"}
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=150)
"""The API server sends at least a bookmark each minute, so a watch that is silent for longer is dead."""


async def follow(
    api: Api, resource: Resource, namespace: str, selector: Selector = EVERYTHING
) -> AsyncGenerator[Objects, None]:
    """Yield the objects now and after each change, forever.

    A lost connection is made again, and the collection is listed again where its history has expired; only a
    refusal ends the generator. It yields the same dict each time.
    """
    delays = backoff()
    while True:
        try:
            objects, version = await api.list(resource, namespace, selector)
            yield objects
            async with aclosing(_watch(api, resource, namespace, selector, version)) as events:
                async for kind, changed in events:
                    delays = backoff()
                    name = changed["metadata"]["name"]
                    if kind == "DELETED":
                        objects.pop(name, None)
                    else:
                        objects[name] = changed
                    yield objects
        except (ConnectionError, ApiError) as error:
            if isinstance(error, ApiError) and not (error.status == HTTPStatus.GONE or error.is_temporary):
                raise
            logger.debug("watching %s: %s", resource.plural, error)
        await asyncio.sleep(next(delays))


async def until(
    api: Api, resource: Resource, namespace: str, selector: Selector, accept: Callable[[Objects], T | None]
) -> T:
    """Wait until `accept` returns something for the objects, and return that."""
    async with aclosing(follow(api, resource, namespace, selector)) as states:
        async for objects in states:
            if (accepted := accept(objects)) is not None:
                return accepted
    raise AssertionError("follow() has no end")


async def until_gone(api: Api, resource: Resource, obj: JSON) -> None:
    """Wait until an object is deleted; there may be a new one of the same name with another uid."""
    name, namespace, uid = (obj["metadata"][key] for key in ("name", "namespace", "uid"))

    def gone(objects: Objects) -> bool | None:
        return True if name not in objects or objects[name]["metadata"]["uid"] != uid else None

    await until(api, resource, namespace, Selector.named(name), gone)


class Watches:
    """Follows the objects of several resources in a namespace."""

    def __init__(self, api: Api, namespace: str, selectors: Mapping[Resource, Selector]) -> None:
        self.objects: dict[Resource, Objects] = {}
        """The objects of each resource; absent until the API server has listed them."""
        self.refused: dict[Resource, ApiError] = {}
        """Why a resource is not followed any longer."""
        self.changed = asyncio.Event()
        """Set after each change; the task that waits for the next change clears it."""
        self._tasks = [
            asyncio.create_task(self._follow(api, resource, namespace, selector))
            for resource, selector in selectors.items()
        ]

    async def first(self, resource: Resource, seconds: float) -> None:
        """Wait until a resource is listed or refused, for at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while resource not in (*self.objects, *self.refused):
                    await self.changed.wait()
                    self.changed.clear()

    async def aclose(self) -> None:
        """Stop following."""
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, api: Api, resource: Resource, namespace: str, selector: Selector) -> None:
        try:
            async with aclosing(follow(api, resource, namespace, selector)) as states:
                async for objects in states:
                    self.objects[resource] = dict(objects)
                    self.changed.set()
        except ApiError as error:
            self.refused[resource] = error
            self.changed.set()


async def _watch(
    api: Api, resource: Resource, namespace: str, selector: Selector, version: str
) -> AsyncGenerator[tuple[str, JSON], None]:
    while True:
        params = selector.params | _WATCH_PARAMS | {"resourceVersion": version}
        async with api.request("GET", resource.path(namespace), params, timeout=_TIMEOUT) as response:
            async for line in lines(response):
                if line == b"\n" or not line.endswith(b"\n"):  # empty, or cut off by a lost connection
                    continue
                event = json.loads(line)
                changed = event["object"]
                if event["type"] == "ERROR":
                    raise ApiError.from_status(changed, status=HTTPStatus.INTERNAL_SERVER_ERROR)
                version = changed["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["type"], changed
        await asyncio.sleep(RETRY_SECONDS)
