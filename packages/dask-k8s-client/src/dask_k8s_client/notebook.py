"""The view of a cluster in a notebook: rows and tables for Dask's own widget, kept up to date by watches."""

from html import escape

from distributed.core import Status

from dask_k8s_client import scaling
from dask_k8s_client.api.requests import EVERYTHING, Selector
from dask_k8s_client.api.watching import FIRST_VIEW_SECONDS, Watches
from dask_k8s_client.arguments import JSON
from dask_k8s_client.observed import explanation, find_condition, is_terminating, true_condition
from dask_k8s_client.session import Session
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS


class NotebookView:
    """Follows the resources of a cluster from the first time that a notebook shows it."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._watches: Watches | None = None

    async def start(self) -> None:
        """Begin to follow the resources, and wait for the first view of the cluster."""
        if self._watches is None:
            selectors = {DASK_CLUSTERS: Selector.named(self._name), DASK_AUTOSCALERS: EVERYTHING}
            self._watches = Watches(self._session.api, self._session.namespace or "", selectors)
        await self._watches.first(DASK_CLUSTERS, FIRST_VIEW_SECONDS)

    async def stop(self) -> None:
        """Stop following."""
        if self._watches is not None:
            await self._watches.aclose()

    def status_html(self, status: Status) -> str:
        """Return rows for the table that Dask shows."""
        namespace = self._session.namespace or ""
        if status is Status.running:
            return status_rows(self._cluster(), namespace)
        return status_rows({"status": {"phase": "Closed"}}, namespace) if status is Status.closed else ""

    def scaling_html(self, status: Status) -> str:
        """Return the table in the tab of the scaling buttons."""
        cluster = self._cluster() if status is Status.running else None
        if cluster is None:
            return ""
        listed = self._watches.objects.get(DASK_AUTOSCALERS, {}) if self._watches else {}
        autoscalers = scaling.autoscalers_of(cluster, listed.values())
        return scaling_table(cluster, next((each for each in autoscalers if not is_terminating(each)), None))

    def _cluster(self) -> JSON | None:
        """Return the present DaskCluster; None if it was deleted."""
        if self._watches and DASK_CLUSTERS in self._watches.objects:
            return self._watches.objects[DASK_CLUSTERS].get(self._name)
        return self._session.cluster


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
