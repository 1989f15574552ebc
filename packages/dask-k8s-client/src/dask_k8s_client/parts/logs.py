"""What the pods of a cluster have printed, and what they print."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.log_stream import copy, lives
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.resources import PODS, Among
from dask_k8s_client.api.watching import follow
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.refusals import doing
from dask_k8s_crds import labels

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Which:
    """Which pods of a cluster; None: whatever they are."""

    components: frozenset[str] | None = None
    group: str | None = None
    """Full name of a worker group."""

    def __contains__(self, pod: JSON) -> bool:
        marks = pod["metadata"].get("labels") or {}
        return (self.components is None or marks.get(labels.COMPONENT) in self.components) and (
            self.group is None or marks.get(labels.WORKER_GROUP_NAME) == self.group
        )


async def pod_logs(api: Api, cluster: JSON, which: Which, tail: int | None = None) -> dict[str, str]:
    """Log by pod; of each container the last `tail` lines, or all. One that cannot be read says why."""
    namespace = cluster["metadata"]["namespace"]
    slots = asyncio.Semaphore(_AT_ONCE)

    async def log(pod: JSON) -> str:
        async with slots:
            return await _pod_log(api, namespace, pod, tail)

    with doing(_reading(cluster)):
        pods, _ = await api.list(PODS, namespace, _of(cluster))
        mine = {name: pod for name, pod in pods.items() if pod in which}
        return dict(zip(mine, await asyncio.gather(*map(log, mine.values())), strict=True))


async def follow_pods(api: Api, cluster: JSON, which: Which, log: Callable[[str, str], object]) -> None:
    """Give `log` each line with the name of its pod, of those that come later as well, for ever."""
    with doing(_reading(cluster)):
        try:
            await _follow_pods(api, cluster, which, log)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group  # one refusal says it all


async def _follow_pods(api: Api, cluster: JSON, which: Which, log: Callable[[str, str], object]) -> None:
    seen: set[str] = set()
    async with (
        asyncio.TaskGroup() as copying,
        aclosing(follow(api, PODS, cluster["metadata"]["namespace"], _of(cluster))) as worlds,
    ):
        async for world in worlds:
            mine = ((name, life) for name, pod in world.items() if pod in which for life in lives(pod))
            for name, life in mine:
                if life.id not in seen:
                    seen.add(life.id)
                    copying.create_task(copy(api, life, partial(log, name)))


def _of(cluster: JSON) -> Among:
    return Among(labels=labels.selector({labels.CLUSTER_NAME: cluster["metadata"]["name"]}))


def _reading(cluster: JSON) -> str:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    return f"read the logs of the cluster {name} in the namespace {namespace}"


async def _pod_log(api: Api, namespace: str, pod: JSON, tail: int | None) -> str:
    parts: list[str] = []
    several = len(pod["spec"]["containers"]) > 1
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        try:
            log = await container_log(api, namespace, pod["metadata"]["name"], status["name"], tail)
        except ApiError as error:
            if not error.is_temporary:
                raise
            log = f"cannot be read: {error}\n"  # the others' can
        parts.append(f"--- {status['name']} ---\n{log}" if several else log)
    return "".join(parts)


async def container_log(api: Api, namespace: str, pod: str, container: str, tail: int | None = None) -> str:
    """What a container has printed; if nothing since its last start, then what it had before."""
    params = {"container": container} | ({} if tail is None else {"tailLines": str(tail)})
    for more in ({}, {"previous": "true"}):
        try:
            log = await api.logs(namespace, pod, params | more)
        except ApiError as error:
            # It has not begun, or not been restarted; or the pod is gone by now.
            if error.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                raise
            continue
        if log.strip():
            return log
    return ""
