"""What is specific to Dask: the reconcilers of clusters and worker groups, the scheduler's agent, pods.

Nothing here opens a connection to the API server: reconcilers read a `World` and return plans.
"""
