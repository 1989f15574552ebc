"""A plugin of dask-k8s-controller: a DaskJob runs a client on a Dask cluster that exists only for the job.

It creates a DaskCluster and a `batch/v1` Job, the runner. Those create pods, retry and enforce deadlines.
"""
