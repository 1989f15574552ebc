"""Desired state: a DaskDashboard in, a manifest out. No await, no clock, no environment."""

from typing import Any

from dask_dashboard.kind import DASHBOARDS, DaskDashboard
from dask_k8s_crds import labels, names
from dask_k8s_crds.metadata import owner_reference


def service(dashboard: DaskDashboard) -> dict[str, Any]:
    """Return the service of a dashboard; the label of its cluster lets the controller see it."""
    meta, spec = dashboard.metadata, dashboard.spec
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{meta.name}-dashboard",
            "namespace": meta.namespace,
            "labels": {labels.CLUSTER_NAME: spec.cluster, labels.COMPONENT: "dashboard"},
            "ownerReferences": [owner_reference(DASHBOARDS, meta)],
        },
        "spec": {
            "type": spec.type,
            "selector": labels.scheduler(spec.cluster),
            "ports": [{"name": "http", "port": 80, "targetPort": names.DASHBOARD_PORT}],
        },
    }
