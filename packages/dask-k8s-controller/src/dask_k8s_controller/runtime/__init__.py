"""What any controller needs: API client, informer, cache, work queue, reconcile loop, leader election.

Nothing here knows Dask, and no module here imports from `dask_k8s_controller.dask` or `.app`.
"""
