"""The river: watch event -> cache -> queue -> reconcile -> plan -> apply -> status, one way.

What lives here knows Kubernetes objects, keys and time; it knows nothing of Dask, and no reconciler.
"""
