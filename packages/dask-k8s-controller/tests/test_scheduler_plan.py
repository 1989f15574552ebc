"""One scheduler, never two; what ended or does not terminate never holds up its successor."""

import pytest

from dask_k8s_controller.dask.cluster.desired import scheduler_digest
from dask_k8s_controller.dask.cluster.observe import Observed, WorkerGroup
from dask_k8s_controller.dask.cluster.plan import RESTART_SECONDS, plan_scheduler
from dask_k8s_controller.dask.pods.view import LOST_SECONDS
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds import DaskCluster, labels, names
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS, SERVICES

from .builders import NOW, cluster, group, pod, record

CLUSTER = DaskCluster.parse(cluster())
USUAL = names.scheduler("c")
NEXT = names.scheduler_successor("c", "uid-1")
CURRENT = {labels.TEMPLATE_DIGEST: scheduler_digest(CLUSTER)}
OLD = {labels.TEMPLATE_DIGEST: "other"}
LOST = LOST_SECONDS + 1


def scheduler(name=USUAL, uid="uid-1", **more):
    return record(PODS, pod(name, component="scheduler", **more) | {})._replace(uid=uid)


def planned(schedulers, expected=(), cluster=CLUSTER, groups=()):
    observed = Observed(
        tuple(schedulers), "token", None, tuple(map(WorkerGroup.of, groups)), frozenset(expected), NOW
    )
    plan = plan_scheduler(cluster, observed, NOW)
    return {
        "name": plan.name,
        "delete": sorted(pod.uid for pod in plan.delete),
        "outdated": plan.outdated and plan.outdated.uid,
        "look_again": plan.look_again,
    }


@pytest.mark.parametrize(
    "schedulers, plan",
    [
        pytest.param([], {"name": USUAL}, id="none yet"),
        pytest.param([scheduler()], {}, id="one runs"),
        pytest.param([scheduler(phase="Pending")], {}, id="one starts"),
        pytest.param([scheduler(annotations=CURRENT)], {}, id="one runs that is up to date"),
        pytest.param([scheduler(annotations=OLD)], {"outdated": "uid-1"}, id="one is outdated"),
        pytest.param(
            [scheduler(annotations=OLD, deletion=-20)],
            {"look_again": LOST_SECONDS + 20},
            id="an outdated one terminates",
        ),
        pytest.param(
            [scheduler(annotations=OLD, deletion=LOST)], {"name": NEXT}, id="an outdated one is lost"
        ),
        pytest.param(
            [scheduler(annotations=OLD, created=9), scheduler(NEXT, "uid-2", created=5)],
            {"delete": ["uid-2"], "outdated": "uid-1"},
            id="of two the older is outdated: none stays, one comes",
        ),
        pytest.param(
            [scheduler(created=9), scheduler(NEXT, "uid-2", created=5)],
            {"delete": ["uid-2"]},
            id="of two the older stays",
        ),
        pytest.param(
            [scheduler(deletion=-20)],
            {"look_again": LOST_SECONDS + 20},
            id="one terminates within its grace period",
        ),
        pytest.param([scheduler(deletion=4)], {"look_again": LOST_SECONDS - 4}, id="one is late"),
        pytest.param([scheduler(deletion=LOST)], {"name": NEXT}, id="one is lost"),
        pytest.param(
            [scheduler(deletion=LOST), scheduler(NEXT, "uid-2")], {}, id="the successor of a lost one runs"
        ),
        pytest.param(
            [scheduler(deletion=LOST), scheduler(NEXT, "uid-2", deletion=LOST)],
            {"name": names.scheduler_successor("c", "uid-2")},
            id="the successor is lost, too",
        ),
        pytest.param(
            [scheduler(NEXT, "uid-2", deletion=LOST)],
            {"name": USUAL},
            id="the usual name is free while a successor is lost",
        ),
        pytest.param(
            [scheduler(deletion=LOST), scheduler(NEXT, "uid-2", deletion=-5)],
            {"look_again": LOST_SECONDS + 5},
            id="one is lost, the other terminates",
        ),
        pytest.param(
            [scheduler()._replace(deleting=True)],
            {"look_again": LOST_SECONDS},
            id="we deleted it and the watch does not know",
        ),
        pytest.param(
            [scheduler(phase="Failed", created=RESTART_SECONDS)], {"delete": ["uid-1"]}, id="one failed"
        ),
        pytest.param(
            [scheduler(phase="Succeeded", created=RESTART_SECONDS - 3)],
            {"look_again": 3.0},
            id="one ended at once: not in a tight loop",
        ),
        pytest.param(
            [scheduler(phase="Failed", created=1), scheduler(NEXT, "uid-2")],
            {"delete": ["uid-1"]},
            id="one failed, its successor runs",
        ),
        pytest.param(
            [scheduler(phase="Failed", created=99), scheduler(NEXT, "uid-2", phase="Failed", created=4)],
            {"delete": ["uid-1"], "look_again": 6.0},
            id="two failed, one of them just now",
        ),
    ],
)
def test_plan(schedulers, plan):
    assert planned(schedulers) == {"name": None, "delete": [], "outdated": None, "look_again": None} | plan


@pytest.mark.parametrize(
    "schedulers",
    [
        pytest.param([], id="nothing seen yet"),
        pytest.param([scheduler(deletion=LOST)], id="the one before is lost"),
    ],
)
def test_one_that_was_made_and_not_seen_yet_is_one(schedulers):
    assert planned(schedulers, {Key(PODS, "ns", NEXT)})["name"] is None


@pytest.mark.parametrize(
    "schedulers, workers, plan",
    [
        pytest.param([], {}, {}, id="none: none is created"),
        pytest.param([scheduler()], {"replicas": 2}, {}, id="it waits for the workers"),
        pytest.param([scheduler()], {"retiring": 1}, {}, id="it waits until they are gone"),
        pytest.param([scheduler(annotations=OLD)], {}, {"delete": ["uid-1"]}, id="it is deleted after them"),
        pytest.param(
            [scheduler(phase="Failed")], {}, {"delete": ["uid-1"]}, id="one that ended is deleted too"
        ),
        pytest.param([scheduler(deletion=-5)], {}, {}, id="it is on its way"),
    ],
)
def test_suspended(schedulers, workers, plan):
    body = cluster()
    body["spec"]["suspend"] = True
    groups = [record(DASK_WORKER_GROUPS, group() | {"status": workers})]
    found = planned(schedulers, cluster=DaskCluster.parse(body), groups=groups)
    assert found == {"name": None, "delete": [], "outdated": None, "look_again": None} | plan


def test_an_expected_service_is_no_scheduler():
    assert planned([], {Key(SERVICES, "ns", USUAL)})["name"] == USUAL


def test_on_deletion_means_that_an_outdated_one_stays():
    body = cluster()
    body["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert planned([scheduler(annotations=OLD)], cluster=DaskCluster.parse(body))["outdated"] is None
