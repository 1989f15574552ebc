"""A plugin of dask-k8s-controller: a DaskDashboard makes a cluster's dashboard reachable from outside."""
