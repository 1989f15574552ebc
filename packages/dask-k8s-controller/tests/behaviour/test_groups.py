"""Further worker groups: adopted by their cluster, made before it, gone without the others."""

import pytest


@pytest.mark.core
def test_a_further_group_is_adopted(world, cluster, group):
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    containers = [{"name": "worker", "image": "dask", "env": [{"name": "DASK_WORKER_NAME", "value": "mine"}]}]
    world.apply(group("more", {"spec": {"worker": {"spec": {"containers": containers}}}}, hold=True))
    (name,) = world.workers("more", 1, ready=False)
    pod = world.get(f"pod/{name}")
    assert pod["metadata"]["labels"]["dask.org/cluster-name"] == "demo"
    environment = {found["name"]: found["value"] for found in pod["spec"]["containers"][0]["env"]}
    address = f"tcp://demo-scheduler.{world.namespace}.svc.cluster.local:8786"
    assert environment == {"DASK_WORKER_NAME": "mine", "DASK_SCHEDULER_ADDRESS": address}

    world.wait("daskworkergroup/more", "jsonpath={.metadata.ownerReferences[0].kind}=DaskCluster")
    (owner,) = world.get("daskworkergroup/more")["metadata"]["ownerReferences"]
    assert owner["uid"] == world.get("daskcluster/demo")["metadata"]["uid"]
    world.wait("daskcluster/demo", "jsonpath={.status.workers}=0/3")


def test_a_group_waits_for_its_cluster(world, cluster, group):
    world.apply(group(hold=True))
    waits = world.condition("daskworkergroup/demo-more", "Ready", "ClusterNotFound")
    assert waits["status"] == "False"
    where = f'there is no DaskCluster "demo" in namespace "{world.namespace}"'
    assert waits["message"] == f"spec.cluster: {where}; the workers start when there is"
    assert world.names("pods") == set()
    world.apply(cluster(hold=True))
    world.workers("demo-more", 1, ready=False)


def test_a_group_without_a_cluster_holds_up_nobody(world, cluster, group):
    world.apply(group("lost", {"spec": {"cluster": "nowhere"}}), cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    world.condition("daskworkergroup/lost", "Ready", "ClusterNotFound")
    assert world.get("daskworkergroup/lost")["status"]["replicas"] == 0


def test_a_deleted_group_takes_its_workers_and_no_others(world, cluster, group):
    world.apply(cluster(hold=True), group(hold=True))
    others = world.workers("demo-default", 2, ready=False)
    world.workers("demo-more", 1, ready=False)
    world.kubectl("delete", "daskworkergroup/demo-more")
    world.workers("demo-more", 0)
    assert world.workers("demo-default", 2, ready=False) == others


def test_the_cluster_of_a_group_cannot_change(world, cluster, group):
    world.apply(cluster(hold=True), group(hold=True))
    refusal = world.apply(group("demo-more", {"spec": {"cluster": "other"}}, hold=True), check=False)
    assert "spec.cluster: Invalid value" in refusal
    assert "cannot be changed" in refusal
