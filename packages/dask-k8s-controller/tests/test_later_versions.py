"""Objects of later versions: an older controller goes on, says what it ignores, and takes nothing away."""

import pytest

from dask_k8s_controller.dask.cluster.reconcile import reconcile as reconcile_cluster
from dask_k8s_controller.dask.findings import unknown_fields
from dask_k8s_controller.dask.workergroup.reconcile import reconcile as reconcile_group
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.testing import FakeWorld
from dask_k8s_crds import DaskCluster
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS

from .builders import cluster

CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
GROUP = Key(DASK_WORKER_GROUPS, "ns", "c-default")
LATER = {"spec": {"later": 1, "worker": {"later": {"a": [1]}}}}


@pytest.fixture
async def world():
    """A cluster with fields of a later version, and what an older controller makes of it."""
    world = FakeWorld(cluster(replicas=2))
    world.patch(CLUSTER, LATER)
    await turn(world)
    return world


async def turn(world):
    await reconcile_cluster(CLUSTER, world)
    await reconcile_group(GROUP, world)


def condition(world, key, kind="UnknownFields"):
    found = world.objects[key]["status"]["conditions"]
    return next((each for each in found if each["type"] == kind), {"status": None, "message": None})


async def test_everything_else_is_honoured(world):
    pods = [key.name for key in world.objects if key.resource == PODS]
    assert len(pods) == 3
    assert world.objects[CLUSTER]["status"]["workers"] == "0/2"
    assert condition(world, CLUSTER, "Degraded")["status"] == "False"
    assert condition(world, CLUSTER, "Progressing")["status"] == "True"


async def test_a_condition_names_the_fields_until_they_are_gone(world):
    found = condition(world, CLUSTER)
    assert (found["status"], found["reason"]) == ("True", "ControllerOutdated")
    assert found["message"] == (
        "spec.later, spec.worker.later: ignored, because this version of the controller does not know these "
        "fields; upgrade it to that of the CustomResourceDefinition"
    )
    assert condition(world, GROUP)["message"].startswith("spec.worker.later: ")
    world.patch(CLUSTER, {"spec": {"later": None, "worker": {"later": None}}})
    await turn(world)
    await turn(world)
    assert condition(world, CLUSTER)["status"] == condition(world, GROUP)["status"] == "False"


async def test_an_object_without_such_fields_has_no_such_condition():
    world = FakeWorld(cluster(replicas=0))
    await turn(world)
    assert condition(world, CLUSTER)["status"] is None


async def test_what_a_later_controller_passed_on_is_left_alone(world):
    assert world.objects[GROUP]["spec"]["worker"]["later"] == {"a": [1]}
    await turn(world)
    before = len(world.writes)
    await turn(world)
    assert world.writes[before:] == []


async def test_a_phase_of_a_later_controller_is_replaced(world):
    status = world.objects[CLUSTER]["status"]
    world.patch(CLUSTER, {"status": {**status, "phase": "Hibernating", "later": 1}})
    await turn(world)
    assert world.objects[CLUSTER]["status"]["phase"] == "Pending"


async def test_labels_of_a_queue_are_reported_and_not_passed_on():
    labels = {"kueue.x-k8s.io/queue-name": "team-a", "kueue.x-k8s.io/priority-class": "high", "team": "a"}
    world = FakeWorld(cluster(replicas=1, labels=labels))
    for _ in range(3):
        await turn(world)
    found = condition(world, CLUSTER, "QueueLabelIgnored")
    assert (found["status"], found["reason"]) == ("True", "NoQueueIntegration")
    assert "kueue.x-k8s.io/queue-name: team-a" in found["message"]
    children = [body["metadata"]["labels"] for key, body in world.objects.items() if key != CLUSTER]
    assert children
    for found in children:
        assert found["team"] == "a"
        assert not [label for label in found if label.startswith("kueue.x-k8s.io/")]
    world.patch(CLUSTER, {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": None}}})
    await turn(world)
    found = condition(world, CLUSTER, "QueueLabelIgnored")
    assert (found["status"], found["reason"]) == ("False", "NoQueueLabel")


def test_a_message_is_bounded():
    body = cluster()
    body["spec"] |= {f"later{number:03}": number for number in range(500)}
    (found,) = unknown_fields(DaskCluster.parse(body), ())
    assert "spec.later009 and 490 more: ignored" in found.message
    assert len(found.message) < 500
