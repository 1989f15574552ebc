"""Pods are lost one after another while the cluster computes, and the work is still completed."""

import time
from functools import partial

from distributed import Client

from .work import SIZE, data, group_of, slow

GROUP = "dask.org/workergroup-name=losses-default"


def lose(kube, pod):
    kube("delete", "pod", pod, "--grace-period=0", "--force")


def replaced(uid, pods):
    """Whether a worker is lost and both are ready."""
    ready = [
        pod["metadata"]["uid"]
        for pod in pods
        for condition in pod.get("status", {}).get("conditions", ())
        if (condition["type"], condition["status"]) == ("Ready", "True")
    ]
    return len(ready) == 2 and uid not in ready


def client_of(cluster):
    """Return a client; a connection to a scheduler that is about to end must be made again."""
    while True:
        try:
            return Client(cluster, timeout=120)
        except OSError:
            time.sleep(0.1)


def test_every_worker_and_then_the_scheduler(make, kube):
    cluster = make("losses", n_workers=2)
    cluster.wait_for_workers(2)
    first = group_of(kube, "losses-default")
    with Client(cluster) as client:
        work = client.map(slow, client.map(data, range(24), pure=False), pure=False)
        for pod, uid in first.items():
            lose(kube, pod)
            kube.until("pods", partial(replaced, uid), GROUP)
        assert client.gather(work) == [number + SIZE for number in range(24)]
    assert not set(first.values()) & set(group_of(kube, "losses-default").values())

    began = cluster.scheduler_info["started"]
    lose(kube, "losses-scheduler")
    with client_of(cluster) as client:
        assert client.submit(sum, range(7)).result() == 21
        assert client.scheduler_info()["started"] != began
    cluster.wait_for_workers(2)
