"""The life of a cluster: creation, a result, close, in all ways that users do it."""

import operator
import os
import urllib.request

import pytest
from distributed import Client

from dask_k8s_client import KubeCluster, make_cluster_spec


@pytest.mark.core
def test_announced(kube, here):
    """The call in the announcement creates the resources shown there, and the cluster computes."""
    with KubeCluster(name="announced", namespace=here, n_workers=2, env={"FOO": "bar"}) as cluster:
        with Client(cluster) as client:
            assert client.submit(operator.add, 10, 1).result() == 11
            assert client.submit(os.getenv, "FOO").result() == "bar"
            assert client.run_on_scheduler(os.getenv, "FOO") == "bar"
        assert "announced" in repr(cluster)
        assert cluster.namespace == here
        assert "announced" in kube.names("daskcluster")
        assert kube.names("daskworkergroup", "dask.org/cluster-name=announced") == {"announced-default"}
    assert not kube.exists("daskcluster/announced")


async def test_asynchronous(make):
    async with make("asynchronous", n_workers=0, asynchronous=True) as cluster:
        assert cluster.asynchronous
        await cluster.scale(1)
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(operator.add, 10, 1) == 11
        assert await cluster.get_logs()
    assert cluster.status.name == "closed"


async def test_awaited_twice_starts_once(make):
    cluster = make("awaited", n_workers=0, asynchronous=True)
    assert cluster.dashboard_link == ""
    assert await cluster is await cluster
    await cluster.close()
    await cluster.close()


def test_one_after_another(make, kube):
    """Two clusters of the same name in turn: the second has no resources of the first."""
    uids = set()
    for number in (1, 2):
        with make("again") as cluster, Client(cluster) as client:
            assert client.submit(operator.add, number, 1).result(timeout=60) == number + 1
            uids.add(kube.get("daskcluster/again")["metadata"]["uid"])
    assert len(uids) == 2


def test_dashboard(make):
    """The link to Jupyter is on the same port; this scheduler ignores the option."""
    spec = make_cluster_spec("dashboard", n_workers=0)
    container = spec["spec"]["scheduler"]["spec"]["containers"][0]
    container["args"] = ["sh", "-c", "exec dask scheduler --host 0.0.0.0", "--jupyter"]
    cluster = make("", spec=spec)
    assert cluster.jupyter_link == f"http://localhost:{cluster.forwarded_dashboard_port}/jupyter/lab"
    assert cluster.dashboard_link == f"http://localhost:{cluster.forwarded_dashboard_port}/status"
    with urllib.request.urlopen(cluster.dashboard_link, timeout=30) as answer:
        assert answer.status == 200


@pytest.mark.core
def test_dashboard_on_a_port_of_choice(standing_cluster, unused_tcp_port):
    cluster = standing_cluster(scheduler_forward_port=unused_tcp_port)
    assert cluster.forwarded_dashboard_port == str(unused_tcp_port)
    with pytest.raises(RuntimeError, match="not started with jupyter=True"):
        cluster.jupyter_link  # noqa: B018
    with urllib.request.urlopen(f"http://localhost:{unused_tcp_port}/health", timeout=30) as answer:
        assert answer.read() == b"ok"


def test_several_on_one_loop(make, standing_cluster):
    first = standing_cluster()
    second = make("loop-two", loop=first.loop)
    assert first.loop is second.loop
    assert first != second
    with Client(first) as one, Client(second) as two:
        assert one.loop is two.loop
        assert one.submit(operator.add, 1, 1).result() == 2
        assert two.submit(operator.add, 2, 1).result() == 3
    second.close()
    with Client(first) as one:
        assert one.submit(operator.add, 3, 1).result() == 4


@pytest.mark.core
def test_from_name(make, kube, here):
    cluster = make("by-name", n_workers=0)
    with KubeCluster.from_name("by-name", namespace=here) as again:
        assert again == cluster
        assert hash(again) == hash(cluster)
        again.scale(1)
        cluster.wait_for_workers(1)
        again.wait_for_workers(1)
        assert again.scheduler_info["workers"].keys() == cluster.scheduler_info["workers"].keys()
    assert kube.exists("daskcluster/by-name")


def test_who_connects_does_not_delete(make, kube):
    owner = make("owned", n_workers=0)
    make("owned").close()
    assert kube.exists("daskcluster/owned")
    owner.close()
    assert not kube.exists("daskcluster/owned")


def test_deletion_that_takes_its_time(make, kube):
    """Close raises an exception, and does not try again."""
    cluster = make("slow-to-go", n_workers=0)
    kube.patch("daskcluster/slow-to-go", {"metadata": {"finalizers": ["example.org/held"]}})
    with pytest.raises(TimeoutError, match=r"slow-to-go .* is still there after 1 s"):
        cluster.close(timeout=1)
    kube.patch("daskcluster/slow-to-go", {"metadata": {"finalizers": None}})
    kube.wait("daskcluster/slow-to-go", "delete")
    cluster.close()


@pytest.mark.parametrize("late", [False, True], ids=["from the start", "afterwards"])
def test_left_alone(make, kube, late):
    cluster = make("left", n_workers=0, shutdown_on_close=late)
    if late:
        cluster.shutdown_on_close = False
    cluster.close()
    assert kube.exists("daskcluster/left")
    make("left", shutdown_on_close=True).close()
    assert not kube.exists("daskcluster/left")


def test_custom_spec(make, kube):
    """The idle timeout is in the cluster, so that no Python process is needed."""
    spec = make_cluster_spec("custom", n_workers=0, idle_timeout="1 hour")
    spec["metadata"]["labels"] = {"team": "blue"}
    cluster = make("ignored", spec=spec)
    assert cluster.name == "custom"
    assert kube.names("daskcluster", "team=blue") == {"custom"}
    found = kube.get("daskcluster/custom")["spec"]
    assert (found["idleTimeout"], found["idleAction"]) == (3600, "Delete")


def test_worker_command(make):
    """Any worker command gets the worker's name and dashboard port."""
    spec = make_cluster_spec("command", n_workers=1, worker_command=["python", "-m", "dask", "worker"])
    with Client(make("command", spec=spec)) as client:
        assert client.submit(operator.add, 1, 1).result() == 2


def test_logs(standing_cluster):
    logs = standing_cluster().get_logs()
    assert "Scheduler at:" in logs["standing-scheduler"]


def test_scale_by_memory_and_cores(kube, make):
    """The labels of the cluster are those of its pods."""
    resources = {"limits": {"memory": "512Mi", "cpu": "500m"}}
    spec = make_cluster_spec("sized", n_workers=0, resources=resources, labels={"example.org/team": "a"})
    cluster = make("", spec=spec)
    cluster.scale(memory="1 GiB", cores=1)
    kube.wait("daskcluster/sized", "jsonpath={.status.workers}=2/2")
    assert len(kube.all("pods", "example.org/team=a,dask.org/component=worker")) == 2
    # kubectl does not look for a category that its cache is too old for; this makes the cache new.
    kinds = kube("api-resources", "--categories=dask", "-o", "name").split()
    assert {each.partition(".")[0] for each in kinds} == {
        *("daskautoscalers", "daskclusters", "daskjobs", "daskworkergroups"),
    }
    assert "daskcluster.kubernetes.dask.org/sized" in kube("get", "dask", "-o", "name").split()
