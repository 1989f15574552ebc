"""The start of a cluster: create or find the resource, and wait for its scheduler."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Self

from dask_k8s_client.api.requests import Api, Objects, Selector
from dask_k8s_client.api.watching import follow
from dask_k8s_client.arguments import JSON, CreateMode
from dask_k8s_client.diagnosis import CONTROLLER_PATIENCE, Diagnosis, diagnose
from dask_k8s_client.exceptions import (
    CrashLoopBackOffError,
    NameTaken,
    SchedulerStartupError,
    SchedulerStartupTimeout,
    ValidationError,
    explained,
)
from dask_k8s_client.logs import container_log
from dask_k8s_client.observed import Observed, is_owned, located
from dask_k8s_client.options import Options
from dask_k8s_client.progress import Deadline
from dask_k8s_crds import labels, names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, EVENTS, PODS, Resource

_LOG_LINES = 20
_LOG_SECONDS = 5
_EXCEPTIONS: dict[str, type[Exception]] = {
    "CrashLoopBackOff": CrashLoopBackOffError,
    "InvalidSpec": ValidationError,
    "NoController": SchedulerStartupTimeout,
}
"""The exception for the reason of a diagnosis."""


async def create_or_connect(api: Api, namespace: str, options: Options) -> tuple[JSON, bool]:
    """Return the DaskCluster, and whether this call has created it."""
    mode, name = options.create_mode, options.name
    action = f"create the DaskCluster {name} in the namespace {namespace}"
    try:
        if mode is not CreateMode.CONNECT_ONLY:
            metadata = options.manifest["metadata"] | {"namespace": namespace}
            created = await _create(api, namespace, options.manifest | {"metadata": metadata})
            if created is not None:
                return created, True
            if mode is CreateMode.CREATE_ONLY:
                raise NameTaken(f"there is a DaskCluster {name} in the namespace {namespace} already")
        action = f"read the DaskCluster {name} in the namespace {namespace}"
        cluster = await api.get(DASK_CLUSTERS, namespace, name)
    except ApiError as error:
        raise explained(error, action) from error
    if cluster is None:
        raise ValueError(f"there is no DaskCluster {name} in the namespace {namespace}")
    return cluster, False


async def _create(api: Api, namespace: str, manifest: JSON) -> JSON | None:
    """Create a DaskCluster; return None if one of this name exists."""
    try:
        return await api.create(DASK_CLUSTERS, namespace, manifest)
    except ApiError as error:
        if error.status == HTTPStatus.CONFLICT and error.reason == "AlreadyExists":
            return None
        raise


async def until_ready(
    api: Api, cluster: JSON, deadline: Deadline, show: Callable[[Observed, Diagnosis | None], None]
) -> Observed:
    """Wait until the scheduler of a cluster is ready; `show` is called after each change.

    Raises:
        SchedulerStartupError, ValidationError: It cannot start, or not in time; the message says why.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with _Watcher(api, cluster) as watcher:
        while True:
            diagnosis = diagnose(watcher.observed, loop.time() - began)
            show(watcher.observed, diagnosis)
            if diagnosis is None:
                return watcher.observed
            if diagnosis.final:
                raise await _failure(api, cluster, diagnosis)
            if deadline.left <= 0:
                raise await _failure(api, cluster, diagnosis, late=deadline)
            next_look = deadline.at
            if diagnosis.reason == "NoController":
                next_look = min(deadline.at, began + CONTROLLER_PATIENCE)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_look):
                    await watcher.change()


class _Watcher:
    """Watches a cluster, the pods of its scheduler, and their events."""

    def __init__(self, api: Api, cluster: JSON) -> None:
        self.observed = Observed(cluster, ())
        self._api = api
        self._metadata = cluster["metadata"]
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        name = self._metadata["name"]
        scheduler = Selector(labels=labels.selector(labels.scheduler(name)))
        about_scheduler = Selector(fields=f"involvedObject.name={names.scheduler(name)}")
        self._tasks = [
            asyncio.create_task(self._follow(DASK_CLUSTERS, Selector.named(name), self._see_cluster)),
            asyncio.create_task(self._follow(PODS, scheduler, self._see_pods)),
            asyncio.create_task(self._follow(EVENTS, about_scheduler, self._see_events)),
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def change(self) -> None:
        """Wait for a change of what is observed, or raise the refusal of a watch."""
        await self._changed.wait()
        self._changed.clear()
        for each in self._tasks:
            if each.done():
                each.result()

    def _see_cluster(self, objects: Objects) -> None:
        cluster = objects.get(self._metadata["name"])
        is_same = cluster is not None and cluster["metadata"]["uid"] == self._metadata["uid"]
        self.observed = replace(self.observed, cluster=cluster if is_same else None)

    def _see_pods(self, objects: Objects) -> None:
        pods = tuple(each for each in objects.values() if is_owned(each, self._metadata["uid"]))
        self.observed = replace(self.observed, pods=pods)

    def _see_events(self, objects: Objects) -> None:
        events = sorted(
            objects.values(), key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or ""
        )
        self.observed = replace(self.observed, events=tuple(events))

    async def _follow(self, resource: Resource, selector: Selector, see: Callable[[Objects], None]) -> None:
        namespace = self._metadata["namespace"]
        try:
            async with aclosing(follow(self._api, resource, namespace, selector)) as states:
                async for objects in states:
                    see(objects)
                    self._changed.set()
        except ApiError as error:
            self._changed.set()
            if error.status != HTTPStatus.FORBIDDEN or resource is DASK_CLUSTERS:
                raise explained(error, f"watch {resource.plural} in the namespace {namespace}") from error
            # A user with no more permissions than for Dask's resources has only the cluster's status.
            if resource is PODS:
                self.observed = replace(self.observed, pods=None)


async def _failure(api: Api, cluster: JSON, diagnosis: Diagnosis, late: Deadline | None = None) -> Exception:
    within = f" within {late.seconds:.0f} s" if late else ""
    message = f"the scheduler of the cluster {located(cluster)} did not start{within}: {diagnosis.message}"
    reason = diagnosis.reason
    if diagnosis.message and reason not in diagnosis.message and reason != "NoController":
        message += f" ({reason})"
    if diagnosis.container is not None:
        message += await _last_log_lines(api, cluster, diagnosis.container)
    default = SchedulerStartupTimeout if late else SchedulerStartupError
    return _EXCEPTIONS.get(reason, default)(message)


async def _last_log_lines(api: Api, cluster: JSON, container: str) -> str:
    """Return the last log lines of the scheduler, or nothing if they cannot be read quickly."""
    with suppress(ApiError, OSError):
        async with asyncio.timeout(_LOG_SECONDS):
            namespace = cluster["metadata"]["namespace"]
            selector = Selector(labels=labels.selector(labels.scheduler(cluster["metadata"]["name"])))
            for pod in await api.list_items(PODS, namespace, selector):
                name = pod["metadata"]["name"]
                if log := await container_log(api, namespace, name, container, _LOG_LINES):
                    return f"\n\nThe last lines of its log:\n\n{log}"
    return ""
