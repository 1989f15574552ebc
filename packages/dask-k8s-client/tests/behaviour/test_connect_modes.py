"""Every connect mode, and the errors where one does not work."""

import asyncio
import json
import operator
import time
import urllib.request

import dask.config
import pytest
from distributed import Client

from dask_k8s_client import KubeCluster, make_cluster_spec

from .conftest import DEADLINE


def is_served(link):
    with urllib.request.urlopen(link, timeout=30) as answer:
        return answer.status == 200


@pytest.mark.core
def test_of_a_service_inside_only(make, kube, here, unused_tcp_port):
    cluster = make("inside-only", n_workers=0)
    assert cluster.forwarded_dashboard_port
    pod = kube.get("pod/inside-only-scheduler")["status"]["podIP"]
    address = f"tcp://{pod}:8786"
    with KubeCluster.from_name("inside-only", namespace=here, connect=address) as again:
        assert again.scheduler_address == address
        assert again.scheduler_info["id"] == cluster.scheduler_info["id"]
        assert again.dashboard_link == f"http://{pod}:8787/status"
        assert is_served(again.dashboard_link)
    with pytest.raises(ConnectionError, match=r'inside-only-scheduler\..* not here .*connect="portforward"'):
        KubeCluster.from_name("inside-only", namespace=here, connect="service")
    nobody = f"tcp://127.0.0.1:{unused_tcp_port}"
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ConnectionError, match=r'connect="portforward" goes through the Kubernetes API'),
    ):
        KubeCluster.from_name("inside-only", namespace=here, connect=nobody)


def test_no_such_way(make, kube):
    """It fails at once, and the cluster is deleted."""
    with pytest.raises(ValueError, match=r'of type ClusterIP.*scheduler_service_type="LoadBalancer"'):
        make("no-way", n_workers=0, connect="loadbalancer")
    assert not kube.exists("daskcluster/no-way")


def test_node_port(make, kube):
    spec = make_cluster_spec("node-port", n_workers=1, scheduler_service_type="NodePort")
    cluster = make("node-port", spec=spec)
    assert cluster.forwarded_dashboard_port is None
    with Client(cluster) as client:
        assert client.submit(operator.add, 1, 1).result() == 2
    assert is_served(cluster.dashboard_link)

    before = cluster.scheduler_address, cluster.dashboard_link
    for moved in ("service", "pod"):  # and both come back, the service with ports of other numbers
        kube("delete", moved, "node-port-scheduler")
    deadline = time.monotonic() + DEADLINE
    while cluster.scheduler_address == before[0]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with Client(cluster, timeout=DEADLINE) as client:
        assert client.scheduler.address == cluster.scheduler_address
    assert cluster.dashboard_link != before[1]
    assert is_served(cluster.dashboard_link)


async def test_load_balancer(make, kube, here):
    """The address may come late; here the pod's address takes its place."""
    spec = make_cluster_spec("balanced", n_workers=0, scheduler_service_type="LoadBalancer")
    starting = asyncio.ensure_future(make("", spec=spec, asynchronous=True))
    pod, service = "pod/balanced-scheduler", "service/balanced-scheduler"
    for target, what in ((pod, "create"), (pod, "condition=Ready"), (service, "create")):
        await asyncio.to_thread(kube.wait, target, what)
    assert not starting.done()
    by_node = {"namespace": here, "connect": "nodeport", "asynchronous": True}
    async with KubeCluster.from_name("balanced", **by_node) as cluster:
        assert await asyncio.to_thread(is_served, cluster.dashboard_link)
    address = kube.get(pod)["status"]["podIP"]
    status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
    kube("patch", service, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    async with await starting as cluster:
        assert cluster.scheduler_address == f"tcp://{address}:8786"
        assert cluster.dashboard_link == f"http://{address}:8787/status"
