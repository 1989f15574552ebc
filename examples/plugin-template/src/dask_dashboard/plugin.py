"""The plugin as a value, which the entry point in `pyproject.toml` names."""

from dask_dashboard.kind import DASHBOARDS, DaskDashboard
from dask_dashboard.reconcile import cluster_of, dashboards_of_cluster, reconcile
from dask_k8s_controller import Plugin, Reconciler, Rule, Watched
from dask_k8s_crds import manifests
from dask_k8s_crds.resources import DASK_CLUSTERS

PLUGIN = Plugin(
    crds=(manifests.crd(DaskDashboard),),
    watches=(Watched(DASHBOARDS, index=cluster_of),),  # clusters and services are watched by the controller
    reconcilers=(Reconciler(DASHBOARDS, reconcile, triggers={DASK_CLUSTERS: dashboards_of_cluster}),),
    rules=(Rule("", ("services",), ("create",)),),
)
