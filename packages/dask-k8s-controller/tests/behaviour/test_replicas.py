"""How many workers there are: the cluster's replicas, the group's, and who goes when they sink."""

import pytest

HELD = {"schedulingGates": [{"name": "tests.dask.org/held"}]}


@pytest.mark.core
def test_kubectl_scales_a_group(world, cluster):
    world.apply(cluster())
    world.workers("demo-default", 2)
    world.scale("daskworkergroup/demo-default", 5)
    five = world.workers("demo-default", 5)
    world.scale("daskworkergroup/demo-default", 3)
    assert world.workers("demo-default", 3) < five
    world.wait("daskcluster/demo", "jsonpath={.status.workers}=3/3")
    assert world.get("daskcluster/demo")["spec"]["worker"]["replicas"] == 2


@pytest.mark.core
def test_kubectl_scales_a_cluster(world, cluster):
    world.apply(cluster())
    world.workers("demo-default", 2)
    world.scale("daskcluster/demo", 5)
    world.workers("demo-default", 5)
    world.wait("daskcluster/demo", "condition=Ready")
    world.kubectl("scale", "daskcluster/demo", "--replicas=3", "--current-replicas=5")
    world.workers("demo-default", 3)
    world.wait("daskcluster/demo", "jsonpath={.status.replicas}=3")
    assert world.get("daskworkergroup/demo-default")["spec"]["worker"]["replicas"] == 3


def test_none_is_a_number_of_workers(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 0}}}))
    world.wait("daskcluster/demo", "condition=Ready")
    assert world.names("pods") == {"demo-scheduler"}
    assert world.get("daskcluster/demo")["status"]["workers"] == "0/0"


def test_a_group_keeps_its_size_until_the_cluster_is_scaled(world, controller, cluster):
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    world.scale("daskworkergroup/demo-default", 4)
    world.workers("demo-default", 4, ready=False)

    controller.kill()
    controller.start()
    world.apply(cluster("demo", {"spec": {"worker": {"metadata": {"labels": {"edited": "yes"}}}}}, hold=True))
    world.wait("daskcluster/demo", "jsonpath={.status.observedGeneration}=2")
    world.workers("demo-default", 4, ready=False)
    assert world.get("daskworkergroup/demo-default")["spec"]["worker"]["replicas"] == 4

    world.scale("daskcluster/demo", 3)
    world.workers("demo-default", 3, ready=False)


def test_who_does_not_run_goes_first(world, cluster):
    """The pending ones here are older than those that run, so that age alone would choose the wrong ones."""
    held = {"spec": {"worker": {"spec": HELD}, "updateStrategy": {"type": "OnDelete"}}}
    world.apply(cluster("demo", held))
    world.workers("demo-default", 2, ready=False)
    change = {"spec": {"worker": {"replicas": 4, "spec": {"schedulingGates": None}}}}
    world.patch("daskworkergroup/demo-default", change)

    def two_run(pods):
        return sum(pod["status"]["phase"] == "Running" for pod in pods) == 2

    pods = world.until("pods", two_run, "dask.org/component=worker")
    running = {pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"}
    world.scale("daskworkergroup/demo-default", 2)
    assert world.workers("demo-default", 2) == running


def test_scaling_one_group_leaves_the_other_alone(world, cluster, group):
    world.apply(cluster(hold=True), group("demo-more", {"spec": {"worker": {"replicas": 3}}}, hold=True))
    others = world.workers("demo-default", 2, ready=False)
    world.workers("demo-more", 3, ready=False)
    world.scale("daskworkergroup/demo-more", 0)
    world.workers("demo-more", 0)
    assert world.workers("demo-default", 2, ready=False) == others
    world.wait("daskcluster/demo", "jsonpath={.status.workers}=0/2")
