"""Counters and histograms of the runtime, in the default registry of `prometheus_client`.

Contains definitions only: the module that does the counted work updates them. Gauges of the current state are
collected when they are scraped, by `dask_k8s_controller.app.metrics`.
"""

from prometheus_client import Counter, Histogram

API_REQUESTS = Counter(
    "dask_k8s_api_requests", "Requests to the API server, by status code.", ["verb", "code"]
)
API_REQUEST_SECONDS = Histogram(
    "dask_k8s_api_request_duration_seconds",
    "Time until the API server began to respond.",
    ["verb"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60),
)
RECONCILE_SECONDS = Histogram(
    "dask_k8s_reconcile_duration_seconds",
    "Duration of a reconcile.",
    ["kind"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60),
)
RECONCILE_ERRORS = Counter("dask_k8s_reconcile_errors", "Failed reconciles, by cause.", ["kind", "cause"])
