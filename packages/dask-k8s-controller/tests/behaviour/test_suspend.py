"""A cluster that is suspended has no pods, and comes back as it was."""

import pytest

from .world import uids

SUSPENDS = {"spec": {"suspend": True}}
RESUMES = {"spec": {"suspend": False}}
PHASE = "jsonpath={.status.phase}"


@pytest.mark.core
def test_its_pods_go_and_come_back(world, cluster, group):
    world.apply(cluster(), group("demo-more"))
    world.workers("demo-default", 2)
    world.workers("demo-more", 1)
    before = uids(world.all("pods"))
    world.patch("daskcluster/demo", SUSPENDS)
    world.wait("daskcluster/demo", f"{PHASE}=Suspended")
    assert world.all("pods") == []
    assert world.get("daskcluster/demo")["status"]["workers"] == "0/3"
    world.wait("daskcluster/demo", "condition=Ready=False")
    world.condition("daskworkergroup/demo-more", "Ready", "Suspended")
    world.patch("daskcluster/demo", RESUMES)
    world.wait("daskcluster/demo", "condition=Ready")
    world.workers("demo-default", 2)
    world.workers("demo-more", 1)
    assert not uids(world.all("pods")) & before


def test_a_cluster_that_is_made_suspended_starts_nothing(world, cluster):
    world.apply(cluster("demo", SUSPENDS))
    world.wait("daskcluster/demo", f"{PHASE}=Suspended")
    world.condition("daskworkergroup/demo-default", "Ready", "Suspended")
    world.scale("daskworkergroup/demo-default", 5)
    assert world.is_quiet("pods", seconds=2)
    assert world.all("pods") == []
    world.patch("daskcluster/demo", RESUMES)
    world.workers("demo-default", 5)


def test_in_the_middle_of_a_rollout(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 3}}}))
    world.workers("demo-default", 3)
    broken = [{"name": "worker", "image": "registry.invalid/nothing:1", "args": ["dask", "worker"]}]
    world.patch("daskcluster/demo", {"spec": {"worker": {"spec": {"containers": broken}}}})
    world.condition("daskworkergroup/demo-default", "Progressing", "ImagePullBackOff")
    world.patch("daskcluster/demo", SUSPENDS)
    world.wait("daskcluster/demo", f"{PHASE}=Suspended")
    assert world.all("pods") == []
    world.kubectl("delete", "daskcluster/demo")
    world.until("services", lambda services: not services)


@pytest.mark.parametrize("while_away", [SUSPENDS, RESUMES], ids=["suspended", "resumed"])
def test_while_the_controller_is_away(world, controller, cluster, while_away):
    suspend = while_away["spec"]["suspend"]
    world.apply(cluster("demo", {"spec": {"suspend": not suspend}}, hold=True))
    world.wait("daskcluster/demo", f"{PHASE}={'Pending' if suspend else 'Suspended'}")
    controller.kill()
    world.patch("daskcluster/demo", while_away)
    controller.start()
    world.wait("daskcluster/demo", f"{PHASE}={'Suspended' if suspend else 'Pending'}")


def test_scheduling_gates_are_left_alone(world, cluster):
    gates = {"schedulingGates": [{"name": "tests.dask.org/gate"}]}
    world.apply(cluster("demo", {"spec": {"scheduler": {"spec": gates}, "worker": {"spec": gates}}}))
    world.workers("demo-default", 2, ready=False)
    assert all(pod["spec"]["schedulingGates"] == gates["schedulingGates"] for pod in world.all("pods"))
