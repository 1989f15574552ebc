"""What Prometheus is told of the state of things, found at the time of a scrape.

What is counted as it happens is counted where it happens. All of it is in the default registry of
`prometheus_client`, as is what plugins count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import get_args

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds import labels
from dask_k8s_crds.cluster import DaskClusterStatus
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

UNKNOWN = "Unknown"
CLUSTER_PHASES = get_args(get_args(DaskClusterStatus.model_fields["phase"].annotation)[0])
WORKER_PHASES = ("Pending", "Running", "Succeeded", "Failed")
"""Those of Kubernetes' pods."""


@contextmanager
def collected(operator: Operator) -> Iterator[None]:
    """Export the state of this operator while the context lasts."""
    # They would be a second series for each counter, of which nobody asks anything.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    collector = _Collector(operator)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


class _Collector(Collector):
    """Counts nothing before it is asked."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield all there is; a standby tells of no clusters and workers, so that a sum counts each once."""
        operator, cache, queue = self.operator, self.operator.cache, self.operator.queue
        leads = operator.role() != "standby"
        yield GaugeMetricFamily(
            "dask_k8s_leader", "1 for the controller that acts, 0 for one that stands by.", leads
        )

        waiting = Counter(key.resource.kind for key in queue.waiting())
        kinds = {resource.kind: 0 for resource in operator.loop.reconcilers}
        yield _gauges("dask_k8s_queue_depth", "Objects that wait for a reconcile.", "kind", kinds | waiting)
        yield GaugeMetricFamily(
            "dask_k8s_queue_oldest_key_seconds",
            "For how long the first object has waited for its reconcile, or the longest reconcile has run.",
            queue.longest_wait(),
        )

        ages: dict[str, float] = {}
        for informer in operator.informers:
            resource = str(informer.watched.resource)
            ages[resource] = max(ages.get(resource, 0.0), informer.silent_for())
        yield _gauges(
            "dask_k8s_watch_age_seconds", "Time since the API server was last heard of it.", "resource", ages
        )

        clusters = (_phase_of_cluster(record.value) for record in cache.all(DASK_CLUSTERS) if leads)
        pods = (record.value for record in cache.all(PODS) if leads)
        workers = (pod.phase for pod in pods if pod.component == labels.WORKER)
        yield _phases("dask_k8s_clusters", "DaskClusters.", CLUSTER_PHASES, clusters)
        yield _phases("dask_k8s_workers", "Pods of workers.", WORKER_PHASES, workers)


def _phase_of_cluster(body: Body) -> str:
    return (body.get("status") or {}).get("phase") or UNKNOWN


def _phases(name: str, what: str, known: Iterable[str], found: Iterable[str]) -> GaugeMetricFamily:
    """Count by phase; a word that is none counts as unknown: values of a label are never without end."""
    counts = dict.fromkeys((*known, UNKNOWN), 0)
    for phase in found:
        counts[phase if phase in counts else UNKNOWN] += 1
    return _gauges(name, what, "phase", counts)


def _gauges(name: str, what: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
