"""What a notebook shows: Dask's own picture of a cluster, and how its resources are in Kubernetes."""
# mypy: allow-untyped-calls

import asyncio
from contextlib import aclosing, suppress
from html import escape
from typing import Any

from distributed.core import Status
from tornado.ioloop import IOLoop

from dask_k8s_client.aliases import JSON
from dask_k8s_client.api.requests import World
from dask_k8s_client.api.resources import ALL, AUTOSCALERS, CLUSTERS, Among, Resource
from dask_k8s_client.api.watching import follow
from dask_k8s_client.exceptions import ApiError
from dask_k8s_client.manager.scaling import ScalableCluster
from dask_k8s_client.parts import autoscaling
from dask_k8s_client.waiting.observed import find_condition, is_going

# How long the first picture waits for what it shows.
_PATIENCE = 5.0


class ShownCluster(ScalableCluster):
    """A cluster manager that follows its resources from the first time that somebody looks at it."""

    def __init__(self, *, name: str, asynchronous: bool, loop: IOLoop | None, **kwargs: Any) -> None:
        self._worlds: dict[Resource, World] = {}
        self._seen = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        super().__init__(name=name, asynchronous=asynchronous, loop=loop, **kwargs)

    def _ipython_display_(self, **kwargs: Any) -> None:
        if self.status is Status.running:
            self._call(self._look)
        super()._ipython_display_(**kwargs)

    async def _look(self) -> None:
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._seen.wait()

    async def _follow(self) -> None:
        await asyncio.gather(self._see(AUTOSCALERS, ALL), self._see(CLUSTERS, Among.named(self.name)))

    async def _see(self, resource: Resource, among: Among) -> None:
        session = self._session
        # Who may not look, or has no autoscaler, is shown the rest.
        with suppress(ApiError):
            async with aclosing(follow(session.api, resource, session.namespace or "", among)) as worlds:
                async for world in worlds:
                    self._worlds[resource] = dict(world)
                    if resource is CLUSTERS:
                        self._seen.set()
        self._seen.set()

    async def _leave(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})
        await super()._leave()

    async def _end_once(self, timeout: float) -> None:
        try:
            await super()._end_once(timeout)
        finally:
            if shown := self.periodic_callbacks.get("cluster-repr"):
                shown.callback()  # the last picture

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        html: str = super()._repr_html_(cluster_status=self._rows() + (cluster_status or ""))
        return html

    def _rows(self) -> str:
        where = self._session.namespace or ""
        match self.status:
            case Status.running:
                return status_rows(self._resource(), where)
            case Status.closed:
                return status_rows({"status": {"phase": "Closed"}}, where)
        return ""

    def _scaling_status(self) -> str:
        cluster = self._resource() if self.status is Status.running else None
        return scaling_table(cluster, self._autoscaler(cluster)) if cluster else ""

    def _resource(self) -> JSON | None:
        """The DaskCluster as it is; None if it is gone."""
        if CLUSTERS in self._worlds:
            return self._worlds[CLUSTERS].get(self.name)
        return self._session.cluster

    def _autoscaler(self, cluster: JSON) -> JSON | None:
        mine = autoscaling.of(cluster, self._worlds.get(AUTOSCALERS, {}).values())
        return next((each for each in mine if not is_going(each)), None)


def status_rows(cluster: JSON | None, namespace: str) -> str:
    """How a DaskCluster is, as rows of the table that Dask shows."""
    status = (cluster or {}).get("status") or {}
    phase = "Deleted" if cluster is None else status.get("phase") or "Created"
    degraded, ready = find_condition(status, "Degraded"), find_condition(status, "Ready")
    if degraded.get("status") == "True":
        what = f"{degraded.get('reason', '')}: {degraded.get('message', '')}"
    else:
        what = str(ready.get("message", ""))
    rows = f"<tr>{_cell('Namespace', namespace)}{_cell('Phase', phase)}</tr>"
    return rows + (f"<tr>{_cell('State', what, columns=2)}</tr>" if what else "")


def scaling_table(cluster: JSON, autoscaler: JSON | None) -> str:
    """Who says how many workers there are, and how many of them are ready."""
    mode = f"Adaptive, {autoscaling.bounds(autoscaler)}" if autoscaler else "Manual"
    ready, _, wanted = str((cluster.get("status") or {}).get("workers", "")).partition("/")
    workers = ready if ready == wanted else f"{ready} / {wanted}"
    lines = (f"Scaling mode: {mode}", f"Workers: {workers}")
    rows = (f'<tr><td style="text-align: left;">{escape(each)}</td></tr>' for each in lines)
    return f"<table>{''.join(rows)}</table>"


def _cell(label: str, text: str, *, columns: int = 1) -> str:
    shown = f"<strong>{escape(label)}:</strong> {escape(text)}"
    return f'<td colspan="{columns}" style="text-align: left;">{shown}</td>'
