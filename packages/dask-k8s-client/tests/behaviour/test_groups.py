"""Worker groups: scale, add, delete."""

import json
import os

import pytest
from distributed import Client

from dask_k8s_client import ValidationError, make_cluster_spec, make_worker_spec

WORKERS = "dask.org/component=worker,dask.org/cluster-name=groups"


def group(name):
    return f"daskworkergroup.kubernetes.dask.org/{name}"


def replicas(kube, name):
    return kube.get(group(name))["spec"]["worker"]["replicas"]


def test_scale(make, kube):
    """Scaling changes the group, and not the number in the cluster's spec."""
    cluster = make("scaled")
    cluster.scale(3)
    cluster.wait_for_workers(3)
    cluster.scale(0)
    kube.wait(group("scaled-default"), "jsonpath={.status.replicas}=0")
    assert replicas(kube, "scaled-default") == 0
    assert kube.get("daskcluster/scaled")["spec"]["worker"]["replicas"] == 1


def test_no_number_of_workers(make):
    cluster = make("number", n_workers=0)
    for n, error in ((-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)):
        with pytest.raises(error, match="n: must"):
            cluster.scale(n)


def test_two_groups(make, kube):
    cluster = make("groups", env={"KIND": "plain"}, resources={"requests": {"memory": "64Mi"}})
    cluster.add_worker_group(
        "highmem", n_workers=1, env={"KIND": "big"}, resources={"requests": {"memory": "128Mi"}}
    )
    cluster.wait_for_workers(2)
    with Client(cluster) as client:
        assert sorted(client.run(os.getenv, "KIND").values()) == ["big", "plain"]
    pods = {
        each["metadata"]["labels"]["dask.org/workergroup-name"]: each["spec"]["containers"][0]
        for each in json.loads(kube("get", "pods", "-l", WORKERS, "-o", "json"))["items"]
    }
    assert {name: pod["resources"]["requests"]["memory"] for name, pod in pods.items()} == {
        "groups-default": "64Mi",
        "groups-highmem": "128Mi",
    }
    assert pods["groups-highmem"]["image"] == pods["groups-default"]["image"]
    cluster.scale(2, worker_group="highmem")
    cluster.wait_for_workers(3)
    assert replicas(kube, "groups-default") == 1
    cluster.delete_worker_group("highmem")
    kube.wait(group("groups-highmem"), "delete")
    cluster.delete_worker_group("highmem")


def test_group_of_a_custom_spec(make, kube):
    cluster = make("custom-group", n_workers=0)
    spec = make_worker_spec(n_workers=0)
    spec["spec"]["nodeSelector"] = {"disktype": "ssd"}
    cluster.add_worker_group("ssd", custom_spec=spec)
    worker = kube.get(group("custom-group-ssd"))["spec"]["worker"]
    assert worker["replicas"] == 0
    assert worker["spec"]["nodeSelector"] == {"disktype": "ssd"}


def test_group_goes_with_its_cluster(make, kube):
    cluster = make("short", n_workers=0)
    cluster.add_worker_group("lived", n_workers=0)
    cluster.close()
    kube.wait(group("short-lived"), "delete")


def test_refused(make):
    cluster = make("refused", n_workers=0)
    cluster.add_worker_group("more", n_workers=0)
    with pytest.raises(ValueError, match="refused-more"):
        cluster.add_worker_group("more")
    with pytest.raises(ValueError, match="default"):
        cluster.add_worker_group("default")
    with pytest.raises(ValueError, match="default"):
        cluster.delete_worker_group("default")
    with pytest.raises(ValueError, match="no worker group 'less'"):
        cluster.scale(1, worker_group="less")
    with pytest.raises(ValidationError, match=r"spec\.worker"):
        cluster.add_worker_group("bad", custom_spec={"spec": {"containers": "none"}})
    with pytest.raises(ValueError, match="'limit'"):
        cluster.add_worker_group("bad", resources={"limit": {}})


async def test_asynchronous(make, kube):
    async with make("group-async", n_workers=0, asynchronous=True) as cluster:
        await cluster.add_worker_group("more", n_workers=0)
        await cluster.scale(1, worker_group="more")
        assert replicas(kube, "group-async-more") == 1
        await cluster.delete_worker_group("more")


def test_cluster_that_is_gone(make, kube):
    cluster = make("went", spec=make_cluster_spec("went", n_workers=0))
    kube("delete", "daskcluster", "went")
    with pytest.raises(ValueError, match="went"):
        cluster.add_worker_group("more")
