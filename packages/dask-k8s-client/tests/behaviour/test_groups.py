"""Worker groups: scale, add, delete."""

import json
import os

import pytest
from distributed import Client

from dask_k8s_client import KubeCluster, ValidationError, make_worker_spec

WORKERS = "dask.org/component=worker,dask.org/cluster-name=groups"


def group(name):
    return f"daskworkergroup/{name}"


def replicas(kube, name):
    return kube.get(group(name))["spec"]["worker"]["replicas"]


def test_scale(make, kube):
    """Scaling changes the group, and not the number in the cluster's spec."""
    cluster = make("scaled")
    cluster.scale(2)
    cluster.wait_for_workers(2)
    cluster.scale(0)
    kube.wait(group("scaled-default"), "jsonpath={.status.replicas}=0")
    assert replicas(kube, "scaled-default") == 0
    assert kube.get("daskcluster/scaled")["spec"]["worker"]["replicas"] == 1


def test_no_number_of_workers(standing_cluster):
    cluster = standing_cluster()
    for n, error in ((-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)):
        with pytest.raises(error, match="n: must"):
            cluster.scale(n)


@pytest.mark.core
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
    """It is deleted with its cluster, to which no more are added then."""
    cluster = make("custom-group", n_workers=0)
    spec = make_worker_spec(n_workers=0)
    spec["spec"]["nodeSelector"] = {"disktype": "ssd"}
    cluster.add_worker_group("ssd", custom_spec=spec)
    worker = kube.get(group("custom-group-ssd"))["spec"]["worker"]
    assert worker["replicas"] == 0
    assert worker["spec"]["nodeSelector"] == {"disktype": "ssd"}

    kube("delete", "daskcluster", "custom-group")
    kube.wait(group("custom-group-ssd"), "delete")
    with pytest.raises(ValueError, match="custom-group"):
        cluster.add_worker_group("more")


def test_refused(standing_cluster):
    cluster = standing_cluster()
    cluster.add_worker_group("more", n_workers=0)
    with pytest.raises(ValueError, match="standing-more"):
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
    cluster.delete_worker_group("more")


async def test_asynchronous(here, kube, standing):
    async with KubeCluster.from_name(standing, namespace=here, asynchronous=True) as cluster:
        await cluster.add_worker_group("async", n_workers=0)
        await cluster.scale(1, worker_group="async")
        assert replicas(kube, "standing-async") == 1
        await cluster.delete_worker_group("async")
