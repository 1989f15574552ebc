"""The keys that a change of the cache enqueues."""

import pytest

from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.triggers import Triggers
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import WATCHES, cluster, group, owned_by, pod, service

CLUSTER = "DaskCluster ns/c"
DEFAULT = "DaskWorkerGroup ns/c-default"
OF_CLUSTER = owned_by("DaskCluster", "c", "uid-of-cluster")
OF_GROUP = owned_by("DaskWorkerGroup", "c-default", "uid-of-c-default")


class Queue:
    """Records what is put and forgotten."""

    def __init__(self):
        self.put_keys = set()
        self.forgotten = set()

    def put(self, key: Key) -> None:
        self.put_keys.add(str(key))

    def forget(self, key: Key) -> None:
        self.forgotten.add(str(key))


@pytest.fixture
def change():
    """Change the cache, and return the queue."""
    queue = Queue()
    cache = Cache(WATCHES, lambda change: triggers.enqueue(change))  # noqa: PLW0108  # triggers are created after the cache
    triggers = Triggers(plugin.PLUGIN.reconcilers, queue, cache, cache.errors)
    cache.set(cache.record(DASK_WORKER_GROUPS, group(ownerReferences=[OF_CLUSTER])))
    cache.set(cache.record(DASK_WORKER_GROUPS, group("c-more")))

    def change(resource, body, *, gone=False):
        queue.put_keys.clear()
        record = cache.record(resource, body)
        cache.remove(record) if gone else cache.set(record)
        return queue

    return change


@pytest.mark.parametrize("gone", [False, True], ids=["set", "gone"])
@pytest.mark.parametrize(
    "resource, body, keys",
    [
        pytest.param(PODS, pod("w", owner=OF_GROUP), {DEFAULT}, id="a worker: its group"),
        pytest.param(PODS, pod("s", owner=OF_CLUSTER), {CLUSTER}, id="a scheduler: its cluster"),
        pytest.param(PODS, pod("x"), set(), id="nobody's pod: nobody"),
        pytest.param(
            PODS,
            pod("x", owner=owned_by("Job", "j", "u") | {"apiVersion": "batch/v1"}),
            set(),
            id="another's",
        ),
        pytest.param(SERVICES, service(), {CLUSTER}, id="a service: its cluster"),
    ],
)
def test_children_enqueue_their_owner(change, resource, body, keys, gone):
    assert change(resource, body, gone=gone).put_keys == keys


def test_a_group_enqueues_itself_and_its_cluster(change):
    assert change(DASK_WORKER_GROUPS, group("c-new")).put_keys == {"DaskWorkerGroup ns/c-new", CLUSTER}


def test_a_group_that_is_gone_is_forgotten_and_enqueues_itself_and_its_cluster(change):
    queue = change(DASK_WORKER_GROUPS, group("c-more"), gone=True)
    assert queue.put_keys == {CLUSTER, "DaskWorkerGroup ns/c-more"}
    assert queue.forgotten == {"DaskWorkerGroup ns/c-more"}


def test_a_cluster_enqueues_itself_and_its_groups(change):
    assert change(DASK_CLUSTERS, cluster()).put_keys == {CLUSTER, DEFAULT, "DaskWorkerGroup ns/c-more"}


def test_a_cluster_that_is_gone_is_forgotten_and_enqueues_itself_and_its_groups(change):
    queue = change(DASK_CLUSTERS, cluster(), gone=True)
    assert queue.put_keys == {CLUSTER, DEFAULT, "DaskWorkerGroup ns/c-more"}
    assert queue.forgotten == {CLUSTER}
