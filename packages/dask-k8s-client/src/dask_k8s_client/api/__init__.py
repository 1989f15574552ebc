"""The Kubernetes API, on plain dicts: access, requests, watches, logs. Nothing here knows of Dask."""
