"""A Dask cluster for the length of one job: a plugin of dask-k8s-controller.

It makes a DaskCluster and a `batch/v1` Job, the runner. Pods, retries and deadlines are left to these.
"""
