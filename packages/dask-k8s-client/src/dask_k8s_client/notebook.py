"""The view of a cluster in a notebook: rows and tables for Dask's own widget, kept up to date by watches."""

import asyncio
from contextlib import aclosing, suppress
from html import escape

from distributed.core import Status

from dask_k8s_client import scaling
from dask_k8s_client.api.requests import EVERYTHING, Objects, Selector
from dask_k8s_client.api.watching import follow
from dask_k8s_client.arguments import JSON
from dask_k8s_client.observed import explanation, find_condition, is_terminating, true_condition
from dask_k8s_client.session import Session
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, Resource

_FIRST_VIEW_SECONDS = 5.0


class NotebookView:
    """Follows the resources of a cluster from the first time that a notebook shows it."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._objects: dict[Resource, Objects] = {}
        self._has_cluster = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow the resources, and wait for the first view of the cluster."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow_all())
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_VIEW_SECONDS):
                await self._has_cluster.wait()

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})

    async def _follow_all(self) -> None:
        await asyncio.gather(
            self._follow(DASK_AUTOSCALERS, EVERYTHING),
            self._follow(DASK_CLUSTERS, Selector.named(self._name)),
        )

    async def _follow(self, resource: Resource, selector: Selector) -> None:
        session = self._session
        # Without the permission, or without the kind, the rest is shown.
        with suppress(ApiError):
            async with aclosing(follow(session.api, resource, session.namespace or "", selector)) as states:
                async for objects in states:
                    self._objects[resource] = dict(objects)
                    if resource is DASK_CLUSTERS:
                        self._has_cluster.set()
        self._has_cluster.set()

    def status_html(self, status: Status) -> str:
        """Return rows for the table that Dask shows."""
        namespace = self._session.namespace or ""
        match status:
            case Status.running:
                return status_rows(self._cluster(), namespace)
            case Status.closed:
                return status_rows({"status": {"phase": "Closed"}}, namespace)
        return ""

    def scaling_html(self, status: Status) -> str:
        """Return the table in the tab of the scaling buttons."""
        cluster = self._cluster() if status is Status.running else None
        return scaling_table(cluster, self._autoscaler(cluster)) if cluster else ""

    def _cluster(self) -> JSON | None:
        """Return the present DaskCluster; None if it was deleted."""
        if DASK_CLUSTERS in self._objects:
            return self._objects[DASK_CLUSTERS].get(self._name)
        return self._session.cluster

    def _autoscaler(self, cluster: JSON) -> JSON | None:
        autoscalers = scaling.autoscalers_of(cluster, self._objects.get(DASK_AUTOSCALERS, {}).values())
        return next((each for each in autoscalers if not is_terminating(each)), None)


def status_rows(cluster: JSON | None, namespace: str) -> str:
    """Return the state of a DaskCluster as rows of the table that Dask shows."""
    status = (cluster or {}).get("status") or {}
    phase = "Deleted" if cluster is None else status.get("phase") or "Created"
    degraded = true_condition(status, "Degraded")
    state = explanation(degraded) if degraded else find_condition(status, "Ready").get("message", "")
    rows = f"<tr>{_cell('Namespace', namespace)}{_cell('Phase', phase)}</tr>"
    return rows + (f"<tr>{_cell('State', state, columns=2)}</tr>" if state else "")


def scaling_table(cluster: JSON, autoscaler: JSON | None) -> str:
    """Return what decides on the number of workers, and how many of them are ready."""
    mode = f"Adaptive, {scaling.bounds_of(autoscaler)}" if autoscaler else "Manual"
    ready, _, replicas = str((cluster.get("status") or {}).get("workers", "")).partition("/")
    workers = ready if ready == replicas else f"{ready} / {replicas}"
    lines = (f"Scaling mode: {mode}", f"Workers: {workers}")
    rows = (f'<tr><td style="text-align: left;">{escape(each)}</td></tr>' for each in lines)
    return f"<table>{''.join(rows)}</table>"


def _cell(label: str, text: str, *, columns: int = 1) -> str:
    content = f"<strong>{escape(label)}:</strong> {escape(text)}"
    return f'<td colspan="{columns}" style="text-align: left;">{content}</td>'
