"""The metrics of an operator in various states. Time is virtual."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from dask_k8s_controller.app import metrics
from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.leader_election import Election
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.resources import DASK_CLUSTERS, LEASES, PODS, SECRETS

from .builders import cluster, pod

pytestmark = pytest.mark.looptime


def metric(name):
    """The values of a metric by those of its label."""
    found = (each for each in REGISTRY.collect() if each.name == name)
    return {"".join(sample.labels.values()): sample.value for each in found for sample in each.samples}


@pytest.fixture
def operator_of():
    """An operator of which nothing runs, and the API server is never asked."""

    def make(*namespaces, election=None):
        key = SigningKey(None, Key(SECRETS, "home", names.AGENT_KEY))
        return Operator(None, [plugin.PLUGIN], Settings(namespaces=namespaces), key, election=election)

    return make


def see(operator, resource, *bodies):
    for body in bodies:
        operator.cache.set(operator.cache.record(resource, body))


async def test_clusters_and_workers_by_phase(operator_of):
    operator = operator_of()
    see(
        operator,
        DASK_CLUSTERS,
        cluster("a", uid="a"),
        *(
            cluster(name, uid=name) | {"status": {"phase": phase}}
            for name, phase in (("b", "Running"), ("c", "Running"), ("d", "Pending"), ("e", "Theirs"))
        ),
    )
    see(operator, PODS, pod("s", component="scheduler"), pod("r", component="job-runner"))
    see(
        operator, PODS, *(pod(f"{at}", phase=phase) for at, phase in enumerate(("Pending", "Odd", "Running")))
    )
    with metrics.registered(operator):
        assert metric("dask_k8s_clusters") == {
            "Created": 0, "Pending": 1, "Running": 2, "Suspended": 0, "Error": 0, "Unknown": 2,
        }  # fmt: skip
        assert metric("dask_k8s_workers") == {
            "Pending": 1, "Running": 1, "Succeeded": 0, "Failed": 0, "Unknown": 1,
        }  # fmt: skip


async def test_a_standby_counts_nobody_elses_clusters(operator_of):
    operator = operator_of(election=Election(None, Key(LEASES, "ns", "lease"), on_lost=lambda: None))
    see(operator, PODS, pod("w"))
    with metrics.registered(operator):
        assert metric("dask_k8s_leader") == {"": 0}
        assert sum(metric("dask_k8s_workers").values()) == 0
        operator.leading.set()
        assert metric("dask_k8s_leader") == {"": 1}
        assert sum(metric("dask_k8s_workers").values()) == 1


async def test_the_queue(operator_of):
    operator = operator_of()
    with metrics.registered(operator):
        assert metric("dask_k8s_queue_depth") == {"DaskCluster": 0, "DaskWorkerGroup": 0}
        assert metric("dask_k8s_queue_oldest_key_seconds") == {"": 0}
        operator.queue.put(Key(DASK_CLUSTERS, "ns", "a"))
        await asyncio.sleep(5)
        operator.queue.put(Key(DASK_CLUSTERS, "ns", "b"))
        await asyncio.sleep(2)
        assert metric("dask_k8s_queue_depth") == {"DaskCluster": 2, "DaskWorkerGroup": 0}
        assert metric("dask_k8s_queue_oldest_key_seconds") == {"": 7}
        for _ in range(2):
            await operator.queue.get()
        await asyncio.sleep(3)
        assert metric("dask_k8s_queue_depth") == {"DaskCluster": 0, "DaskWorkerGroup": 0}
        assert metric("dask_k8s_queue_oldest_key_seconds") == {"": 3}


async def test_the_watch_that_is_silent_for_longest(operator_of):
    operator = operator_of("a", "b")
    await asyncio.sleep(3)
    for informer in operator.informers:
        if informer.namespace == "a" or informer.watched.resource != PODS:
            informer._record_contact()  # noqa: SLF001 - as an event would do
    await asyncio.sleep(1)
    with metrics.registered(operator):
        ages = metric("dask_k8s_watch_age_seconds")
    assert ages.pop("pods") == 4
    assert set(ages.values()) == {1}
    assert "daskclusters.kubernetes.dask.org" in ages


async def test_one_operator_after_the_other(operator_of):
    for _ in range(2):
        with metrics.registered(operator_of()):
            assert metric("dask_k8s_leader") == {"": 1}
    assert metric("dask_k8s_leader") == {}
