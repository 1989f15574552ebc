"""Gauges of an operator's state, collected when Prometheus scrapes them.

Counters and histograms are defined where they are updated, all in the default registry.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import get_args

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dask_k8s_controller.app.operator import Operator
from dask_k8s_crds import labels
from dask_k8s_crds.cluster import ClusterPhase
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

UNKNOWN = "Unknown"
CLUSTER_PHASES = get_args(ClusterPhase)
WORKER_PHASES = ("Pending", "Running", "Succeeded", "Failed")
"""Phases of pods."""


@contextmanager
def registered(operator: Operator) -> Iterator[None]:
    """Export the state of this operator while the context lasts."""
    # By default each counter has a second series, `…_created`, which is not used.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    collector = _Collector(operator)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


class _Collector(Collector):
    """Computes the gauges at each scrape and stores nothing."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all gauges; a standby counts no clusters and workers, so that a sum counts each once."""
        operator, cache, queue = self.operator, self.operator.cache, self.operator.queue
        leading = operator.role() != "standby"
        role = "1 for the controller that reconciles, 0 for a standby."
        yield GaugeMetricFamily("dask_k8s_leader", role, leading)

        waiting = Counter(key.resource.kind for key in queue.waiting())
        kinds = {resource.kind: 0 for resource in operator.loop.reconcilers}
        yield _gauges("dask_k8s_queue_depth", "Objects that wait for a reconcile.", "kind", kinds | waiting)
        oldest = "How long the first object has waited for its reconcile, or the longest reconcile has run."
        yield GaugeMetricFamily("dask_k8s_queue_oldest_key_seconds", oldest, queue.longest_wait())

        ages: dict[str, float] = {}
        for informer in operator.informers:
            resource = str(informer.watched.resource)
            ages[resource] = max(ages.get(resource, 0.0), informer.seconds_since_contact())
        age = "Time since the API server last sent something about the resource."
        yield _gauges("dask_k8s_watch_age_seconds", age, "resource", ages)

        statuses = (record.value.get("status") or {} for record in cache.all(DASK_CLUSTERS) if leading)
        clusters = (status.get("phase") or UNKNOWN for status in statuses)
        pods = (record.value for record in cache.all(PODS) if leading)
        workers = (pod.phase for pod in pods if pod.component == labels.WORKER)
        yield _phases("dask_k8s_clusters", "DaskClusters.", CLUSTER_PHASES, clusters)
        yield _phases("dask_k8s_workers", "Pods of workers.", WORKER_PHASES, workers)


def _phases(name: str, help_text: str, known: Iterable[str], found: Iterable[str]) -> GaugeMetricFamily:
    """Count by phase; other phases count as unknown, because the values of a label must be bounded."""
    counts = dict.fromkeys((*known, UNKNOWN), 0)
    for phase in found:
        counts[phase if phase in counts else UNKNOWN] += 1
    return _gauges(name, help_text, "phase", counts)


def _gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    metric = GaugeMetricFamily(name, help_text, labels=[label])
    for label_value, value in values.items():
        metric.add_metric([label_value], value)
    return metric
