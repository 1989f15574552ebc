"""When a cluster is idle for too long, and what is done about it."""

from datetime import timedelta

import pytest

from dask_k8s_controller.dask.cluster.idle import POLL_SECONDS, RETRY_SECONDS, check, plan
from dask_k8s_controller.dask.cluster.observe import Observed, WorkerGroup
from dask_k8s_controller.dask.cluster.reconcile import reconcile
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.runtime.cache import Watched
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Plugin
from dask_k8s_controller.testing import FakeAgent, FakeWorld
from dask_k8s_crds import DaskCluster, labels
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, DASK_WORKER_GROUPS

from .builders import NOW, ago, cluster, group, metadata, owned_by, pod, record, service

OWNER = owned_by("DaskCluster", "c", "uid-of-cluster")

PERIOD = "2026-11-23T11:00:00Z"


def with_timeout(seconds, action="Delete"):
    body = cluster()
    body["spec"] |= {"idleTimeout": seconds, "idleAction": action}
    return body


def since(seconds):
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "timeout, seconds, before, found",
    [
        pytest.param(600, None, None, (None, False, POLL_SECONDS), id="busy"),
        pytest.param(600, None, since(30), (None, False, POLL_SECONDS), id="busy again"),
        pytest.param(5, None, None, (None, False, 5.0), id="busy, and a short time-out"),
        pytest.param(600, 590.0, None, (since(590), False, 10.0), id="idle for a while"),
        pytest.param(600, 30.0, None, (since(30), False, POLL_SECONDS), id="idle since just now"),
        pytest.param(600, 600.0, None, (since(600), True, POLL_SECONDS), id="just too long"),
        pytest.param(600, 30.0, since(32), (since(32), False, POLL_SECONDS), id="the same time again"),
        pytest.param(600, 30.0, since(99), (since(30), False, POLL_SECONDS), id="idle again"),
    ],
)
def test_check(timeout, seconds, before, found):
    state = check(DaskCluster.parse(with_timeout(timeout)), seconds, NOW, before)
    assert (state.since, state.timed_out, state.look_again) == found


def planned(body, *groups):
    parsed = tuple(WorkerGroup.of(record(DASK_WORKER_GROUPS, each)) for each in groups)
    observed = Observed((), "token", None, parsed, frozenset(), NOW)
    return plan(DaskCluster.parse(body), record(DASK_CLUSTERS, body), observed, since(3600))


@pytest.mark.parametrize(
    "action, groups, actions",
    [
        pytest.param(
            "Delete",
            [group()],
            ["delete DaskCluster ns/c", "report IdleTimeout for DaskCluster ns/c"],
            id="it is deleted",
        ),
        pytest.param(
            "ScaleToZero",
            [group(), group("c-more"), group("c-none", replicas=0)],
            [
                "patch DaskWorkerGroup ns/c-default",
                "patch DaskWorkerGroup ns/c-more",
                "report IdleTimeout for DaskCluster ns/c",
            ],
            id="its workers are removed",
        ),
        pytest.param(
            "Suspend",
            [group()],
            ["patch DaskCluster ns/c", "report IdleTimeout for DaskCluster ns/c"],
            id="it is suspended",
        ),
        pytest.param("ScaleToZero", [group(replicas=0)], [], id="they are gone"),
        pytest.param(
            "ScaleToZero",
            [group(annotations={"kubernetes.dask.org/idle-since": PERIOD})],
            [],
            id="somebody scaled it up since: it stays",
        ),
        pytest.param(
            "ScaleToZero",
            [group(annotations={"kubernetes.dask.org/idle-since": "2026-11-22T11:00:00Z"})],
            ["patch DaskWorkerGroup ns/c-default", "report IdleTimeout for DaskCluster ns/c"],
            id="they were removed yesterday too",
        ),
    ],
)
def test_plan(action, groups, actions):
    assert [str(each) for each in planned(with_timeout(600, action), *groups)] == actions


def test_a_group_that_changed_meanwhile_is_not_scaled():
    [patch] = planned(with_timeout(600, "ScaleToZero"), body := group()).patch
    assert patch.body == {
        "metadata": {
            "resourceVersion": body["metadata"]["resourceVersion"],
            "annotations": {"kubernetes.dask.org/idle-since": PERIOD},
        },
        "spec": {"worker": {"replicas": 0}},
    }


def test_a_cluster_that_changed_meanwhile_is_neither_deleted_nor_suspended():
    body = with_timeout(600, "Delete")
    [delete] = planned(body).delete
    assert str(delete.version) == body["metadata"]["resourceVersion"]
    body = with_timeout(600, "Suspend")
    [patch] = planned(body).patch
    assert patch.body["metadata"] == {"resourceVersion": body["metadata"]["resourceVersion"]}


@pytest.mark.parametrize("ready", [True, False], ids=["ready", "not ready"])
async def test_a_cluster_says_why_its_idle_timeout_has_no_effect(ready):
    pods = [pod("c-scheduler", component=labels.SCHEDULER, owner=OWNER, ready=ready)]
    error = AgentError("AgentMissing", "scheduler pod c-scheduler at 10.0.0.1:8787: the agent is not there")
    scheduler = FakeAgent(idle=error)
    body = with_timeout(600)
    body["metadata"]["uid"] = "uid-of-cluster"
    world = FakeWorld(body, service(), *pods, scheduler=scheduler)
    [key] = (key for key in world.objects if key.resource == DASK_CLUSTERS)
    after = await reconcile(key, world)
    assert after.seconds <= RETRY_SECONDS
    [degraded] = [each for each in world.statuses[-1]["conditions"] if each["type"] == "Degraded"]
    assert (degraded["status"], degraded["reason"]) == (
        ("True", "IdlenessUnknown") if ready else ("False", "Healthy")
    )
    assert not ready or "spec.idleTimeout has no effect" in degraded["message"]
    assert not ready or error.message in degraded["message"]
    scheduler.answers["idle"] = None
    await reconcile(key, world)
    [degraded] = [each for each in world.statuses[-1]["conditions"] if each["type"] == "Degraded"]
    assert degraded["reason"] == "Healthy"


JOBS_PLUGIN = Plugin(watches=(Watched(DASK_JOBS),))
JOB = owned_by("DaskJob", "c", "uid-of-job")


def job(ended=None, uid="uid-of-job"):
    status = {"jobStatus": "Running"} if ended is None else {"endTime": ago(ended)}
    found = metadata("c", uid=uid)
    return {
        "apiVersion": JOB["apiVersion"],
        "kind": "DaskJob",
        "metadata": found,
        "spec": {},
        "status": status,
    }


ACTIONS = {
    "Delete": "delete DaskCluster",
    "ScaleToZero": "patch DaskWorkerGroup",
    "Suspend": "patch DaskCluster",
}
OWNERS = {
    "nobody": ({}, [], True, None),
    "a-job-that-runs": ({"ownerReferences": [JOB]}, [job()], False, "True"),
    "a-job-that-has-just-finished": ({"ownerReferences": [JOB]}, [job(ended=599)], False, "False"),
    "a-job-that-has-finished": ({"ownerReferences": [JOB]}, [job(ended=600)], True, "False"),
    "a-job-that-is-gone": ({"ownerReferences": [JOB]}, [], True, None),
    "an-earlier-job-of-the-name": ({"ownerReferences": [JOB]}, [job(uid="another")], True, None),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("owner, others, acts, waits", OWNERS.values(), ids=OWNERS)
async def test_a_job_owns_its_cluster_while_it_runs(owner, others, acts, waits, action):
    body = with_timeout(600, action)
    body["metadata"] |= owner
    world = FakeWorld(body, *others, plugins=[JOBS_PLUGIN], scheduler=FakeAgent(idle=6000.0))
    key = Key(DASK_CLUSTERS, "ns", "c")
    await reconcile(key, world)
    before = len(world.writes)
    await reconcile(key, world)
    done = [write for write in world.writes if write.startswith(ACTIONS[action])]
    assert bool(done) == acts, world.writes[before:]
    found = {each["type"]: each["status"] for each in world.statuses[0]["conditions"]}
    assert found.get("IdleActionWaits") == waits
    assert "idleSince" in world.statuses[0]
