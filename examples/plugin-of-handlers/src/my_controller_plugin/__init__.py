"""A plugin for dask-k8s-controller."""
