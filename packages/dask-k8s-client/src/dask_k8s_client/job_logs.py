"""What the client of a job prints, line by line, across its restarts and its pods."""

import asyncio
import codecs
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from dask_k8s_client.api import Api
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.resources import PODS
from dask_k8s_client.specs import JSON
from dask_k8s_crds import DaskJobStatus

logger = logging.getLogger("dask_k8s_client")

_LOOK_SECONDS = 0.5
_FOR_EVER = aiohttp.ClientTimeout(total=None, sock_connect=10)


async def show(
    api: Api, job: JSON, status: Callable[[], DaskJobStatus], log: Callable[[str], object]
) -> None:
    """Give `log` each line that the job's containers print, until the job, by its `status`, has ended."""
    namespace = job["metadata"]["namespace"]
    container = job["spec"]["job"]["spec"]["containers"][0]["name"]
    shown: set[str] = set()
    while True:
        now = status()  # before looking: what was printed until the end is still shown
        try:
            lives = await _lives(api, namespace, now.job_runner_pod_name, container)
            if new := [life for life in lives if life.id not in shown]:
                shown.add(new[0].id)
                await _copy(api, new[0], log)
                continue
        except ApiError as error:
            logger.warning("the logs of the job %s cannot be shown: %s", job["metadata"]["name"], error)
            return
        if now.end_time is not None:
            return
        await asyncio.sleep(_LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class _Life:
    """A container from its start to its end; a restart is another one."""

    id: str
    path: str
    params: Mapping[str, str]


async def _lives(api: Api, namespace: str, pod: str | None, container: str) -> list[_Life]:
    """Those of which Kubernetes still has the log: the last one that has ended, and that of now."""
    found = await api.get(PODS, namespace, pod) if pod else None
    if pod is None or found is None:
        return []
    path = PODS.path(namespace, pod, "log")
    status = next(iter(each for each in _statuses(found) if each["name"] == container), {})
    before = ((status.get("lastState") or {}).get("terminated") or {}).get("containerID")
    present = status.get("containerID")
    lives = []
    if before and before != present:
        lives.append(_Life(before, path, {"container": container, "previous": "true"}))
    if present:
        lives.append(_Life(present, path, {"container": container, "follow": "true"}))
    return lives


def _statuses(pod: JSON) -> list[JSON]:
    return (pod.get("status") or {}).get("containerStatuses") or []


async def _copy(api: Api, life: _Life, log: Callable[[str], object]) -> None:
    """All lines until the container ends; a lost connection is made again, and no line comes twice."""
    done = 0
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
            await asyncio.sleep(_LOOK_SECONDS)
        except ApiError as error:
            # It has not begun after all, or is gone.
            if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                return
            raise


async def _lines(api: Api, life: _Life) -> AsyncGenerator[str, None]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    async with api.request("GET", life.path, life.params, timeout=_FOR_EVER) as response:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in lines:
                yield line
    if rest:
        yield rest
