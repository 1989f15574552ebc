"""The logs of a cluster's pods and of a job's client: read once, or followed across restarts."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import aiohttp

from dask_k8s_client.api.requests import Api, lines
from dask_k8s_client.api.watching import follow
from dask_k8s_client.arguments import JSON
from dask_k8s_client.exceptions import explaining
from dask_k8s_client.observed import container_statuses, containers, located, pods_of
from dask_k8s_crds import DaskJobStatus, labels
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

logger = logging.getLogger("dask_k8s_client")

Log = Callable[[str], object]
"""Called with each line of a log."""

_RETRY_SECONDS = 0.5
_PARALLEL_READS = 32
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)


@dataclass(frozen=True, slots=True)
class PodFilter:
    """Which pods of a cluster; None: any."""

    components: frozenset[str] | None = None
    group: str | None = None
    """Full name of a worker group."""

    def __contains__(self, pod: JSON) -> bool:
        pod_labels = pod["metadata"].get("labels") or {}
        return (self.components is None or pod_labels.get(labels.COMPONENT) in self.components) and (
            self.group is None or pod_labels.get(labels.WORKER_GROUP_NAME) == self.group
        )


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """A container from its start to its end; a restart is another run."""

    id: str
    path: str
    """Of the log."""
    params: Mapping[str, str]


async def pod_logs(api: Api, owner: JSON, pods: PodFilter, tail: int | None = None) -> dict[str, str]:
    """Return the log of each pod of a cluster or a job: `tail` lines of each container, or all.

    A log that cannot be read is replaced by the reason.
    Init containers come first; a pod with several containers has the name of each before its log.
    """
    namespace = owner["metadata"]["namespace"]
    slots = asyncio.Semaphore(_PARALLEL_READS)

    async def read(pod: JSON) -> str:
        async with slots:
            return await _pod_log(api, namespace, pod, tail)

    with _explaining(owner):
        listed = await api.list_items(PODS, namespace, pods_of(owner))
        selected = {pod["metadata"]["name"]: pod for pod in listed if pod in pods}
        return dict(zip(selected, await asyncio.gather(*map(read, selected.values())), strict=True))


async def _pod_log(api: Api, namespace: str, pod: JSON, tail: int | None) -> str:
    logs: list[str] = []
    statuses = container_statuses(pod)
    for status in statuses:
        try:
            log = await container_log(api, namespace, pod["metadata"]["name"], status["name"], tail)
        except ApiError as error:
            if not error.is_temporary:
                raise
            log = f"cannot be read: {error.message}\n"  # the others can
        if log and len(statuses) > 1:
            log = f"--- {status['name']} ---\n{log}"
        logs.append(log)
    return "".join(logs)


async def container_log(api: Api, namespace: str, pod: str, container: str, tail: int | None = None) -> str:
    """Return the log of a container; if that is empty since its last start, the log from before."""
    params = {"container": container} | ({} if tail is None else {"tailLines": str(tail)})
    for previous in ({}, {"previous": "true"}):
        try:
            async with api.request("GET", PODS.path(namespace, pod, "log"), params | previous) as response:
                log = await response.text(errors="replace")
        except ApiError as error:
            # The container has not started, or not restarted; or the pod was deleted.
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                raise
            continue
        if log.strip():
            return log
    return ""


def _explaining(owner: JSON) -> AbstractContextManager[None]:
    return explaining(f"read the logs of the {owner.get('kind', DASK_CLUSTERS.kind)} {located(owner)}")


async def follow_pods(api: Api, owner: JSON, pods: PodFilter, log: Callable[[str, str], object]) -> None:
    """Pass each line to `log` with the name of its pod, also of pods that come later, forever."""
    with _explaining(owner):
        try:
            await _follow_pods(api, owner, pods, log)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group  # all have the same cause


async def _follow_pods(api: Api, owner: JSON, pods: PodFilter, log: Callable[[str, str], object]) -> None:
    seen: set[str] = set()
    async with (
        asyncio.TaskGroup() as copies,
        aclosing(follow(api, PODS, owner["metadata"]["namespace"], pods_of(owner))) as states,
    ):
        async for objects in states:
            for name, pod in objects.items():
                for run in container_runs(pod) if pod in pods else ():
                    if run.id not in seen:
                        seen.add(run.id)
                        copies.create_task(copy_log(api, run, partial(log, name)))


async def follow_job(api: Api, job: JSON, status: Callable[[], DaskJobStatus], log: Log) -> None:
    """Pass each line that a job's client prints to `log`, until the job's `status` has an end time.

    So are the lines of an init container that has failed, because they say why there is no client.
    """
    namespace = job["metadata"]["namespace"]
    container = job["spec"]["job"]["spec"]["containers"][0]["name"]
    seen: set[str] = set()
    while True:
        current = status()  # before reading, so that nothing printed before the end is missed
        pod_name = current.job_runner_pod_name
        try:
            pod = await api.get(PODS, namespace, pod_name) if pod_name else None
            runs = container_runs(pod, {container, *_failed_init_containers(pod)}) if pod else ()
            if run := next((each for each in runs if each.id not in seen), None):
                seen.add(run.id)
                await copy_log(api, run, log)
                continue
        except ApiError as error:
            name = job["metadata"]["name"]
            logger.warning("the logs of the job %s cannot be shown: %s", name, error.message)
            return
        if current.end_time is not None:
            return
        await asyncio.sleep(_RETRY_SECONDS)


def _failed_init_containers(pod: JSON) -> Iterator[str]:
    initial = {each["name"] for each in pod["spec"].get("initContainers") or ()}
    return (each.name for each in containers(pod) if each.exit_code and each.name in initial)


def container_runs(pod: JSON, chosen: Container[str] | None = None) -> Iterator[ContainerRun]:
    """Yield the runs whose log Kubernetes still has: of each container the last one and the current one.

    `chosen` has the names of the containers; None means all.
    """
    metadata = pod["metadata"]
    path = PODS.path(metadata["namespace"], metadata["name"], "log")
    for status in container_statuses(pod):
        name = status["name"]
        if chosen is not None and name not in chosen:
            continue
        previous = ((status.get("lastState") or {}).get("terminated") or {}).get("containerID")
        current = status.get("containerID")
        if previous and previous != current:
            yield ContainerRun(previous, path, {"container": name, "previous": "true"})
        if current:
            yield ContainerRun(current, path, {"container": name, "follow": "true"})


async def copy_log(api: Api, run: ContainerRun, log: Log) -> None:
    """Pass all lines of a run to `log`, each once, until the container ends.

    A lost connection is made again. While the log cannot be read, this waits, after one logged warning.
    """
    copied, has_warned = 0, False
    while True:
        number = 0
        try:
            async with aclosing(_lines(api, run)) as printed:
                async for line in printed:
                    number += 1
                    if number > copied:
                        log(line)
                        copied = number
            return
        except ConnectionError as error:
            logger.debug("following %s: %s", run.path, error)
        except ApiError as error:
            # The container has not started, or the pod was deleted.
            if error.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                return
            if not error.is_temporary:
                raise
            if not has_warned:
                logger.warning("the log %s cannot be read now: %s", run.path, error.message)
                has_warned = True
        await asyncio.sleep(_RETRY_SECONDS)


async def _lines(api: Api, run: ContainerRun) -> AsyncGenerator[str, None]:
    async with api.request("GET", run.path, run.params, timeout=_STREAM_TIMEOUT) as response:
        async for line in lines(response):
            yield line.decode(errors="replace").removesuffix("\n")
