"""Children that are deleted, end or get stuck behind the controller's back."""

from datetime import datetime, timedelta

import pytest

from .world import names, uids

WORKERS = "dask.org/component=worker"

ENDING = {
    "restartPolicy": "Never",
    "containers": [
        {
            "name": "worker",
            "image": "ghcr.io/dask/dask:latest",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "exit 3"],
        }
    ],
}


@pytest.mark.core
def test_a_deleted_worker_is_replaced(world, cluster):
    world.apply(cluster())
    (one, other) = world.workers("demo-default", 2)
    before = uids(world.all("pods", WORKERS))
    world.kubectl("delete", "pod", one)
    assert other in world.workers("demo-default", 2)
    assert len(uids(world.all("pods", WORKERS)) & before) == 1


def test_all_workers_deleted_at_once_are_replaced(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 5}}}))
    world.workers("demo-default", 5)
    before = uids(world.all("pods", WORKERS))
    world.kubectl("delete", "pods", "-l", WORKERS)
    world.workers("demo-default", 5)
    assert not uids(world.all("pods", WORKERS)) & before


@pytest.mark.core
def test_a_deleted_scheduler_comes_back_under_its_name(world, cluster):
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    first = world.get("pod/demo-scheduler")["metadata"]["uid"]
    world.kubectl("delete", "pod/demo-scheduler")

    def another(pods):
        return [pod["metadata"]["uid"] for pod in pods] not in ([], [first])

    world.until("pods", another, "dask.org/component=scheduler")
    world.wait("pod/demo-scheduler", "condition=Ready")
    world.wait("daskcluster/demo", "condition=Ready")


def test_a_deleted_service_comes_back(world, cluster):
    world.apply(cluster(hold=True))
    [service] = world.until("services", len)
    world.kubectl("delete", "service/demo-scheduler")
    world.until("services", lambda found: uids(found) not in (set(), uids([service])))


def test_a_deleted_default_group_comes_back(world, cluster):
    world.apply(cluster(hold=True))
    first = world.workers("demo-default", 2, ready=False)
    world.kubectl("delete", "daskworkergroup/demo-default")
    world.until("pods", lambda pods: not first & names(pods))
    world.workers("demo-default", 2, ready=False)


def test_a_worker_that_ended_is_replaced_at_a_calm_pace(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 1, "spec": ENDING}}}))
    (first,) = world.until("pods", len, WORKERS)
    degraded = world.condition("daskcluster/demo", "Degraded", "PodFailed")
    name = first["metadata"]["name"]
    assert degraded["message"] == f"DaskWorkerGroup demo-default: pod {name}: exit code 3 (Error)"

    def replaced(pods):
        return [pod for pod in pods if pod["metadata"]["name"] != name]

    (second,) = replaced(world.until("pods", replaced, WORKERS))
    made = [datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) for pod in (first, second)]
    assert made[1] - made[0] >= timedelta(seconds=9)


def test_a_worker_that_is_stuck_has_a_successor(world, cluster):
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 1}}}))
    (name,) = world.workers("demo-default", 1)
    world.patch(f"pod/{name}", {"metadata": {"finalizers": ["tests.dask.org/stuck"]}})
    try:
        world.kubectl("delete", "pod", name, "--wait=false")
        world.until("pods", lambda pods: len(pods) == 2, WORKERS)
        world.wait("daskworkergroup/demo-default", "jsonpath={.status.retiring}=1")
        world.wait("daskcluster/demo", "jsonpath={.status.workers}=1/1")
    finally:
        world.patch(f"pod/{name}", {"metadata": {"finalizers": None}})
    assert name not in world.workers("demo-default", 1)


def test_a_scheduler_that_is_stuck_has_a_successor(world, cluster):
    """As on a lost node: the pod is to go and does not. Workers find the successor by the service."""
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 0}}}))
    world.wait("daskcluster/demo", "condition=Ready")
    world.patch("pod/demo-scheduler", {"metadata": {"finalizers": ["tests.dask.org/stuck"]}})
    try:
        world.kubectl("delete", "pod/demo-scheduler", "--wait=false")
        world.condition("daskcluster/demo", "SchedulerReady", "SchedulerMissing")

        def successor(pods):
            return names(pods) - {"demo-scheduler"}

        pods = world.until("pods", successor, "dask.org/component=scheduler")
        (name,) = successor(pods)
        assert name.startswith("demo-scheduler-")
        world.wait("daskcluster/demo", "condition=Ready")
    finally:
        world.patch("pod/demo-scheduler", {"metadata": {"finalizers": None}})
    world.wait("pod/demo-scheduler", "delete")
    assert world.names("pods") == {name}
