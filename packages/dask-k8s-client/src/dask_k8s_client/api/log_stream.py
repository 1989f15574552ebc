"""What containers print, line by line, while they print it. Whose containers they are is known elsewhere."""

import asyncio
import codecs
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import PODS
from dask_k8s_client.exceptions import ApiError

logger = logging.getLogger("dask_k8s_client")

RETRY_SECONDS = 0.5
_FOR_EVER = aiohttp.ClientTimeout(total=None, sock_connect=10)


@dataclass(frozen=True, slots=True)
class Life:
    """A container from its start to its end; a restart is another one."""

    id: str
    path: str
    params: Mapping[str, str]


def lives(pod: JSON, containers: Callable[[str], bool] = lambda _: True) -> Iterator[Life]:
    """Those whose log Kubernetes still has: of each container the one that ended last, and that of now."""
    metadata = pod["metadata"]
    path = PODS.path(metadata["namespace"], metadata["name"], "log")
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        name = status["name"]
        if not containers(name):
            continue
        before = ((status.get("lastState") or {}).get("terminated") or {}).get("containerID")
        present = status.get("containerID")
        if before and before != present:
            yield Life(before, path, {"container": name, "previous": "true"})
        if present:
            yield Life(present, path, {"container": name, "follow": "true"})


async def copy(api: Api, life: Life, log: Callable[[str], object]) -> None:
    """All lines until the container ends; a lost connection is made again, and no line comes twice.

    A log that is out of reach is waited for, and that is logged once as a warning.
    """
    done, said = 0, False
    while True:
        place = 0
        try:
            async with aclosing(_lines(api, life)) as lines:
                async for line in lines:
                    place += 1
                    if place > done:
                        log(line)
                        done = place
            return
        except ConnectionError as error:
            logger.debug("following %s: %s", life.path, error)
        except ApiError as error:
            # It has not begun after all, or is gone.
            if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                return
            if not error.is_temporary:
                raise
            if not said:
                logger.warning("the log %s cannot be read now: %s", life.path, error)
                said = True
        await asyncio.sleep(RETRY_SECONDS)


async def _lines(api: Api, life: Life) -> AsyncGenerator[str, None]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    async with api.request("GET", life.path, life.params, timeout=_FOR_EVER) as response:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in lines:
                yield line
    if rest:
        yield rest
