"""Idle clusters, or their workers, are deleted; busy ones stay."""

import time

import pytest
from distributed import Client, Event

from dask_k8s_client import make_cluster_spec

slow = lambda seconds: (time.sleep(seconds), seconds)[1]  # noqa: E731 - a lambda travels whole
held = lambda name: __import__("distributed").Event(name).wait()  # noqa: E731


@pytest.mark.core
def test_an_idle_cluster_goes(make, kube):
    """Its Python object still exists and was not closed."""
    cluster = make("unused")
    with Client(cluster) as client:
        begin = client.submit(held, "begin")  # before it has a time-out, which else might be over by now
        kube.patch("daskcluster/unused", {"spec": {"idleTimeout": 1}})
        kube.wait("daskcluster/unused", "jsonpath={.status.observedGeneration}=2")
        work, end = client.submit(slow, 2.0), client.submit(held, "end")
        Event("begin").set()
        assert begin.result()
        assert work.result() == 2.0  # twice as long as its time-out
        assert kube.get("daskcluster/unused")["status"].get("idleSince") is None
        Event("end").set()
        assert end.result()
    kube.wait("daskcluster/unused", "delete")
    kube.wait("pod/unused-scheduler", "delete")
    reasons = [
        event["reason"] for event in kube.get("events")["items"] if "unused" in event["metadata"]["name"]
    ]
    assert "IdleTimeout" in reasons


def test_workers_of_an_idle_cluster_go(make, kube):
    # The controller takes times for equal that differ by less than 5 s.
    spec = make_cluster_spec("resting", n_workers=1, idle_timeout=4)
    spec["spec"]["idleAction"] = "ScaleToZero"
    cluster = make("resting", spec=spec)
    kube.wait("daskworkergroup/resting-default", "jsonpath={.spec.worker.replicas}=0")
    kube.wait("daskworkergroup/resting-default", "jsonpath={.status.replicas}=0")
    assert "idleSince" in kube.get("daskcluster/resting")["status"]
    # Scaling up does not end the idle time.
    cluster.scale(1)
    cluster.wait_for_workers(1)
    with Client(cluster) as client:
        assert client.submit(slow, 0.1, pure=False).result() == 0.1
    kube.patch("daskcluster/resting", {"spec": {"idleTimeout": 1}})
    kube.wait("daskworkergroup/resting-default", "jsonpath={.spec.worker.replicas}=0")
