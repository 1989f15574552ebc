"""Pods are lost one after another while the cluster computes, and the work is still completed."""

import time

from distributed import Client

from .work import SIZE, data, group_of, slow, small

GROUP = "dask.org/workergroup-name=losses-default"


def lose(kube, pod):
    kube("delete", "pod", pod, "--grace-period=0", "--force")


def client_of(cluster):
    """Return a client; a connection to a scheduler that is about to end must be made again."""
    while True:
        try:
            return Client(cluster, timeout=120)
        except OSError:
            time.sleep(0.1)


def test_every_worker_and_then_the_scheduler(make, kube):
    cluster = make("losses", spec=small("losses", 3))
    cluster.wait_for_workers(3)
    first = group_of(kube, "losses-default")
    with Client(cluster) as client:
        work = client.map(slow, client.map(data, range(60), pure=False), pure=False)
        for pod, uid in first.items():
            lose(kube, pod)
            while uid in (found := group_of(kube, "losses-default")).values() or len(found) < 3:
                time.sleep(0.1)
            kube("wait", "pods", "-l", GROUP, "--for=condition=Ready", "--timeout=120s")
        assert client.gather(work) == [number + SIZE for number in range(60)]
    assert not set(first.values()) & set(group_of(kube, "losses-default").values())

    began = cluster.scheduler_info["started"]
    lose(kube, "losses-scheduler")
    with client_of(cluster) as client:
        assert client.submit(sum, range(7)).result() == 21
        assert client.scheduler_info()["started"] != began
    cluster.wait_for_workers(3)
