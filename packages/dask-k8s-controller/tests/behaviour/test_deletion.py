"""Deletion: all goes with the cluster, nothing hangs, and a successor of the same name is another cluster."""

import pytest

from .world import names


def owner(body):
    return body["metadata"]["ownerReferences"][0]["uid"]


@pytest.mark.core
def test_the_cluster_takes_all_with_it(world, cluster, group):
    world.apply(cluster(), group())
    world.workers("demo-default", 2)
    world.workers("demo-more", 1)
    world.wait("daskworkergroup/demo-more", "jsonpath={.metadata.ownerReferences[0].name}=demo")
    assert "deleted" in world.kubectl("delete", "daskcluster/demo")
    for resource in ("pods", "services", "daskworkergroups"):
        world.until(resource, lambda found: not found)
    listing = world.kubectl("get", "all", "-l", "dask.org/cluster-name=demo", check=False)
    assert "No resources found" in listing


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_nothing_of_the_cluster_waits_for_the_controller(cascade, world, controller, cluster):
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    controller.kill()
    world.kubectl("delete", "daskcluster/demo", f"--cascade={cascade}", "--timeout=120s")
    for resource in ("daskclusters", "daskworkergroups", "services", "pods"):
        world.until(resource, lambda found: not found)


def test_a_cluster_that_is_made_again_at_once(world, cluster):
    world.apply(cluster())
    first = world.workers("demo-default", 2)
    world.kubectl("delete", "daskcluster/demo", "--wait=false")
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 3}}}))
    world.until("pods", lambda pods: not first & names(pods), "dask.org/component=worker")
    world.workers("demo-default", 3)
    world.wait("daskcluster/demo", "condition=Ready")
    uid = world.get("daskcluster/demo")["metadata"]["uid"]
    children = "pod/demo-scheduler", "service/demo-scheduler", "daskworkergroup/demo-default"
    for child in children:
        assert world.get(child)["metadata"]["ownerReferences"][0]["uid"] == uid
    world.until("secrets", lambda found: {owner(each) for each in found} == {uid}, "dask.org/component=agent")


def test_orphans_are_named_and_kept(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 0}}}, hold=True))
    world.until("pods", len)
    world.until("services", len)
    world.kubectl("delete", "daskcluster/demo", "--cascade=orphan")
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 0}}}, hold=True))
    degraded = world.condition("daskcluster/demo", "Degraded", "AlreadyExists")
    assert f"{world.namespace}/demo-scheduler exists and is controlled by nobody" in degraded["message"]
    world.kubectl("delete", "pod/demo-scheduler", "service/demo-scheduler")
    world.condition("daskcluster/demo", "Degraded", "Healthy")


def test_a_namespace_that_is_being_deleted(world, another, run_controller, cluster):
    """Pods go first, and one that stays keeps the rest: nothing can be made, and nobody else has to wait."""
    going = another()
    run_controller(namespaces=(world.namespace, going.namespace))
    going.apply(cluster(hold=True))
    going.workers("demo-default", 2, ready=False)
    going.until("pods", len, "dask.org/component=scheduler")
    going.patch("pod/demo-scheduler", {"metadata": {"finalizers": ["tests.dask.org/stay"]}})
    going.kubectl("delete", "namespace", going.namespace, "--wait=false")
    degraded = going.condition("daskworkergroup/demo-default", "Degraded", "NamespaceTerminating")
    assert "because it is being terminated" in degraded["message"]
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    going.patch("pod/demo-scheduler", {"metadata": {"finalizers": None}})
    going.wait(f"namespace/{going.namespace}", "delete")
