"""A client for the Kubernetes API on plain dicts: access, requests, watches. It knows nothing of Dask."""
