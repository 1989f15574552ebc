"""From nothing to a scheduler that is ready, or an exception that says why not."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Self

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import Api, World
from dask_k8s_client.api.resources import CLUSTERS, EVENTS, PODS, Among, Resource
from dask_k8s_client.api.watching import follow
from dask_k8s_client.exceptions import (
    ApiError,
    CrashLoopBackOffError,
    NameTaken,
    SchedulerStartupError,
    SchedulerStartupTimeout,
    ValidationError,
)
from dask_k8s_client.options import CreateMode, Options
from dask_k8s_client.parts.logs import container_log
from dask_k8s_client.refusals import explained
from dask_k8s_client.waiting.deadline import Deadline
from dask_k8s_client.waiting.diagnose import CONTROLLER_PATIENCE, Finding, diagnose
from dask_k8s_client.waiting.observed import Observed, belongs
from dask_k8s_crds import labels, names

Show = Callable[[Observed, Finding | None], None]

_LOG_LINES = 20
_EXCEPTIONS: dict[str, type[Exception]] = {
    "CrashLoopBackOff": CrashLoopBackOffError,
    "InvalidSpec": ValidationError,
    "NoController": SchedulerStartupTimeout,
}


async def create_or_connect(api: Api, namespace: str, options: Options) -> tuple[JSON, bool]:
    """The DaskCluster, and whether it was created here."""
    mode, name = options.create_mode, options.name
    doing = f"create the DaskCluster {name} in the namespace {namespace}"
    try:
        if mode is not CreateMode.CONNECT_ONLY:
            manifest = options.manifest | {
                "metadata": options.manifest["metadata"] | {"namespace": namespace}
            }
            with suppress(_AlreadyExists):
                return await _create(api, namespace, manifest), True
            if mode is CreateMode.CREATE_ONLY:
                raise NameTaken(f"there is a DaskCluster {name} in the namespace {namespace} already")
        doing = f"read the DaskCluster {name} in the namespace {namespace}"
        found = await api.get(CLUSTERS, namespace, name)
    except ApiError as error:
        raise explained(error, doing) from error
    if found is None:
        raise ValueError(f"there is no DaskCluster {name} in the namespace {namespace}")
    return found, False


class _AlreadyExists(Exception):
    pass


async def _create(api: Api, namespace: str, manifest: JSON) -> JSON:
    try:
        return await api.create(CLUSTERS, namespace, manifest)
    except ApiError as error:
        if error.status == HTTPStatus.CONFLICT and error.reason == "AlreadyExists":
            raise _AlreadyExists from error
        raise


async def until_ready(api: Api, cluster: JSON, deadline: Deadline, show: Show) -> Observed:
    """Wait for the scheduler of a cluster, or say why it does not come."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with _Look(api, cluster) as look:
        while True:
            waited = loop.time() - began
            finding = diagnose(look.observed, waited)
            show(look.observed, finding)
            if finding is None:
                return look.observed
            if finding.final:
                raise await _failure(api, cluster, finding)
            if deadline.left <= 0:
                raise await _failure(api, cluster, finding, late=deadline)
            again = (
                min(deadline.at, began + CONTROLLER_PATIENCE)
                if finding.reason == "NoController"
                else deadline.at
            )
            with suppress(TimeoutError):
                async with asyncio.timeout_at(again):
                    await look.change()


class _Look:
    """Eyes on everything that tells how a scheduler starts."""

    def __init__(self, api: Api, cluster: JSON) -> None:
        self.observed = Observed(cluster, ())
        self._api = api
        self._metadata = cluster["metadata"]
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        name = self._metadata["name"]
        scheduler = Among(labels=labels.selector(labels.scheduler(name)))
        about = Among(fields=f"involvedObject.name={names.scheduler(name)}")
        self._tasks = [
            asyncio.create_task(self._follow(CLUSTERS, Among.named(name), self._cluster)),
            asyncio.create_task(self._follow(PODS, scheduler, self._pods)),
            asyncio.create_task(self._follow(EVENTS, about, self._events)),
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def change(self) -> None:
        """Wait for something new."""
        await self._changed.wait()
        self._changed.clear()
        for each in self._tasks:
            if each.done():
                each.result()

    def _cluster(self, world: World) -> None:
        found = world.get(self._metadata["name"])
        same = found if found and found["metadata"]["uid"] == self._metadata["uid"] else None
        self.observed = replace(self.observed, cluster=same)

    def _pods(self, world: World) -> None:
        mine = tuple(each for each in world.values() if belongs(each, self._metadata["uid"]))
        self.observed = replace(self.observed, pods=mine)

    def _events(self, world: World) -> None:
        old = sorted(
            world.values(), key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or ""
        )
        self.observed = replace(self.observed, events=tuple(old))

    async def _follow(self, resource: Resource, among: Among, see: Callable[[World], None]) -> None:
        namespace = self._metadata["namespace"]
        try:
            async with aclosing(follow(self._api, resource, namespace, among)) as worlds:
                async for world in worlds:
                    see(world)
                    self._changed.set()
        except ApiError as error:
            self._changed.set()
            if error.status != HTTPStatus.FORBIDDEN or resource is CLUSTERS:
                raise explained(error, f"watch {resource.plural} in the namespace {namespace}") from error
            # With no more than a Dask user's permissions the cluster's own status has to do.
            if resource is PODS:
                self.observed = replace(self.observed, pods=None)


async def _failure(api: Api, cluster: JSON, finding: Finding, late: Deadline | None = None) -> Exception:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    within = f" within {late.seconds:.0f} s" if late else ""
    where = f"the cluster {name} in the namespace {namespace}"
    message = f"the scheduler of {where} did not start{within}: {finding.message}"
    if finding.message and finding.reason not in finding.message and finding.reason != "NoController":
        message += f" ({finding.reason})"
    if finding.container is not None:
        message += await _last_lines(api, namespace, name, finding.container)
    default = SchedulerStartupTimeout if late else SchedulerStartupError
    return _EXCEPTIONS.get(finding.reason, default)(message)


async def _last_lines(api: Api, namespace: str, cluster: str, container: str) -> str:
    """What the scheduler printed last, best effort: it must not stand in the way of the reason."""
    with suppress(ApiError, OSError):
        async with asyncio.timeout(5):
            pods, _ = await api.list(
                PODS, namespace, Among(labels=labels.selector(labels.scheduler(cluster)))
            )
            for pod in pods:
                if log := await container_log(api, namespace, pod, container, _LOG_LINES):
                    return f"\n\nThe last lines of its log:\n\n{log}"
    return ""
