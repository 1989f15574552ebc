"""Which pods are not expected to start, by what their statuses say."""

import pytest

from dask_k8s_controller.dask.pods.capacity import stuck_pods
from dask_k8s_controller.dask.pods.view import trim
from dask_k8s_controller.testing.objects import NOW, ago
from dask_k8s_crds import labels

from .builders import pod

PATIENCE = 60


def condition(kind, status, since, reason=""):
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": ago(since)}


def status(*conditions, phase="Pending", **container):
    containers = [{"name": "dask", "image": "dask:1", **container}] if container else []
    return {"phase": phase, "conditions": list(conditions), "containerStatuses": containers}


def waiting(reason, **more):
    return {"state": {"waiting": {"reason": reason}}, **more}


def unschedulable(since):
    return status(condition("PodScheduled", "False", since, "Unschedulable"))


def not_pulled(since, reason="ImagePullBackOff"):
    return status(condition("Ready", "False", since), **waiting(reason))


def crashing(since, restarts):
    ready = condition("Ready", "False", since)
    return status(ready, phase="Running", **waiting("CrashLoopBackOff", restartCount=restarts))


def running(since, ready="True"):
    return status(condition("Ready", ready, since), phase="Running", state={"running": {}})


def stuck(*statuses, **metadata):
    bodies = [pod(f"p{n}", **metadata) | {"status": each} for n, each in enumerate(statuses)]
    return [each.name for each in stuck_pods([trim(body) for body in bodies], PATIENCE, NOW)]


@pytest.mark.parametrize(
    "status, expected",
    [
        pytest.param(unschedulable(50), False, id="unschedulable"),
        pytest.param(unschedulable(61), True, id="unschedulable for long"),
        pytest.param(not_pulled(50), False, id="image not pulled"),
        pytest.param(not_pulled(61), True, id="image not pulled for long"),
        pytest.param(not_pulled(61, "ErrImagePull"), True, id="the last attempt to pull it has failed"),
        pytest.param(not_pulled(9999, "ContainerCreating"), False, id="a large image is being pulled"),
        pytest.param({"phase": "Pending"}, False, id="no status yet"),
        pytest.param(crashing(5, 1), False, id="crashed for the first time"),
        pytest.param(crashing(5, 3), False, id="crashed again and again, for 35 s"),
        pytest.param(crashing(5, 4), True, id="crashed again and again, for 75 s"),
        pytest.param(crashing(5, 400), True, id="crashed for days"),
        pytest.param(running(9999), False, id="ready"),
        pytest.param(running(50, "False"), False, id="it runs and is not ready"),
        pytest.param(running(61, "False"), True, id="its node is lost"),
    ],
)
def test_stuck(status, expected):
    assert bool(stuck(status, creationTimestamp=ago(5))) is expected


@pytest.mark.parametrize(
    "failures, expected", [(0, False), (3, True)], ids=["the first to fail", "after three others, for 70 s"]
)
def test_workers_that_replace_one_another(failures, expected):
    failed = status(condition("Ready", "False", 5), phase="Failed", state={"terminated": {"exitCode": 1}})
    assert bool(stuck(failed, annotations={labels.FAILURES: str(failures)})) is expected


def test_the_time_of_creation_counts_without_a_condition_of_readiness():
    body = {"phase": "Pending", "containerStatuses": [{"name": "dask", **waiting("ErrImagePull")}]}
    assert stuck(body, creationTimestamp=ago(61)) == ["p0"]
    assert stuck(body, creationTimestamp=ago(50)) == []


@pytest.mark.parametrize("first", [unschedulable(61), running(61, "False")], ids=["stuck", "lost"])
def test_those_in_trouble_beside_one_that_is_stuck_are_stuck_as_well(first):
    pods = first, unschedulable(1), not_pulled(1), running(1), {"phase": "Pending"}
    assert stuck(*pods) == ["p0", "p1", "p2"]


def test_the_node_of_one_pod_is_not_that_of_others():
    assert stuck(running(61, "False"), running(1, "False")) == ["p0"]


def test_pods_that_are_being_deleted_are_not_expected_anyway():
    assert stuck(unschedulable(61), deletionTimestamp=ago(1)) == []
