"""What is specific to Dask: the reconcilers of clusters and worker groups, pods, the scheduler's agent.

Nothing here connects to the API server: a reconcile reads and writes through its `World`.
"""
