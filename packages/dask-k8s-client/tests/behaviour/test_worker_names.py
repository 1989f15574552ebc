"""`plan`, `requested` and `observed`, as Dask's other cluster managers have them."""

import time

from dask_k8s_client import KubeCluster


def until(holds):
    """Ask again until it is so; the time limit of the test ends it."""
    while not holds():
        time.sleep(0.1)


def test_they_follow_what_is_asked_for(make, kube):
    cluster = make("named", n_workers=1)
    cluster.wait_for_workers(1)
    until(lambda: cluster.plan == cluster.requested == cluster.observed)
    (first,) = cluster.observed
    assert first.startswith("named-default-worker-")
    cluster.scale(3)
    assert len(cluster.plan) == 3  # at once
    assert first in cluster.plan
    cluster.wait_for_workers(3)
    until(lambda: cluster.plan == cluster.requested == cluster.observed)
    assert len(cluster.observed) == 3
    cluster.scale(0)
    assert cluster.plan == set()
    until(lambda: cluster.requested == cluster.observed == set())


def test_all_groups_count_however_they_are_scaled(make, kube):
    cluster = make("grouped", n_workers=0)
    assert cluster.plan == cluster.requested == cluster.observed == set()
    cluster.add_worker_group("more", n_workers=2)
    until(lambda: len(cluster.plan) == 2)
    until(lambda: cluster.plan == cluster.requested == cluster.observed)
    kube("scale", "daskworkergroup", "grouped-more", "--replicas=1")
    until(lambda: len(cluster.plan) == len(cluster.requested) == len(cluster.observed) == 1)
    cluster.delete_worker_group("more")
    until(lambda: cluster.plan == cluster.requested == cluster.observed == set())
    cluster.close()
    assert cluster.plan == cluster.requested == set()


async def test_asynchronous(here, standing):
    async with KubeCluster.from_name(standing, namespace=here, asynchronous=True) as cluster:
        assert len(cluster.observed) == 1
        assert cluster.plan == cluster.requested == cluster.observed
