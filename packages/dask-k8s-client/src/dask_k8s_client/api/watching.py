"""Objects of the Kubernetes API as they change: the whole of them each time, never what happened to them."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import TypeVar

import aiohttp

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World, refusal
from dask_k8s_client.api.resources import ALL, Among, Resource
from dask_k8s_client.exceptions import ApiError

logger = logging.getLogger("dask_k8s_client")

T = TypeVar("T")

_WATCH_SECONDS = 600
# A watch that says nothing for so long, not even a bookmark, is dead; the API server sends one a minute.
_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=150)
_RETRY_FIRST, _RETRY_MOST = 0.1, 5.0


async def follow(
    api: Api, resource: Resource, namespace: str, among: Among = ALL
) -> AsyncGenerator[World, None]:
    """The objects as they are, and again after every change, for ever.

    Lost connections are made again and a history that is too short is read anew; only a refusal ends it.
    Yields the same dict each time.
    """
    delay = _RETRY_FIRST
    while True:
        try:
            world, version = await api.list(resource, namespace, among)
            yield world
            async with aclosing(_watch(api, resource, namespace, among, version)) as events:
                async for kind, found in events:
                    delay = _RETRY_FIRST
                    if kind == "DELETED":
                        world.pop(found["metadata"]["name"], None)
                    else:
                        world[found["metadata"]["name"]] = found
                    yield world
        except ConnectionError as error:
            logger.debug("watching %s: %s", resource.plural, error)
        except ApiError as error:
            if not _passes(error):
                raise
            logger.debug("watching %s: %s", resource.plural, error)
        await asyncio.sleep(delay)
        delay = min(2 * delay, _RETRY_MOST)


async def until(
    api: Api, resource: Resource, namespace: str, among: Among, accept: Callable[[World], T | None]
) -> T:
    """Wait until the objects are such that `accept` returns something."""
    async with aclosing(follow(api, resource, namespace, among)) as worlds:
        async for world in worlds:
            if (accepted := accept(world)) is not None:
                return accepted
    raise AssertionError("follow() has no end")


async def _watch(
    api: Api, resource: Resource, namespace: str, among: Among, version: str
) -> AsyncGenerator[tuple[str, JSON], None]:
    while True:
        params = among.params | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        async with api.request("GET", resource.path(namespace), params, timeout=_PATIENCE) as response:
            async for line in _lines(response):
                event = json.loads(line)
                found = event["object"]
                if event["type"] == "ERROR":
                    raise refusal(found.get("code", HTTPStatus.INTERNAL_SERVER_ERROR), found)
                version = found["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["type"], found
        await asyncio.sleep(_RETRY_FIRST)


def _passes(error: ApiError) -> bool:
    """A history that is too short, an API server that is overloaded or starting."""
    return error.status == HTTPStatus.GONE or error.is_temporary


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length; aiohttp's own reader has a limit that a large object passes."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
