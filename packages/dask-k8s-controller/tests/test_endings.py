"""Workers that Dask itself has ended are replaced at once; failures wait for a back-off."""

import pytest

from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.dask.workergroup.reconcile import reconcile
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.testing import FakeAgent, FakeWorld
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS

from .builders import ago, cluster, group, owned_by, pod

GROUP = Key(DASK_WORKER_GROUPS, "ns", "c-default")
OWNER = owned_by("DaskWorkerGroup", "c-default", "uid-of-c-default")


def run(seconds, code):
    return {"terminated": {"exitCode": code, "startedAt": ago(seconds + 1), "finishedAt": ago(1)}}


def finished(seconds, code=0):
    phase = "Failed" if code else "Succeeded"
    return {"phase": phase, "containerStatuses": [{"name": "dask", "state": run(seconds, code)}]}


def backing_off(seconds, code=0):
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    container = {"name": "dask", "state": waits, "lastState": run(seconds, code)}
    return {"phase": "Running", "containerStatuses": [container]}


class Stand(FakeWorld):
    """A group of two workers; one has ended, and had registered if it left the scheduler."""

    def __init__(self, status, *, age=5, left=None, agent=None):
        agent = agent or FakeAgent(left={} if left is None else {"ended": left})
        super().__init__(cluster(replicas=2), group(replicas=2), scheduler=agent)
        ended = pod("ended", created=age, owner=OWNER, annotations={labels.FAILURES: "2"})
        self.add(pod("other", owner=OWNER, ready=True), ended | {"status": status})

    async def settle(self):
        """Reconcile until nothing is written; return the workers that were there at any time."""
        most, writes = 0, -1
        while writes != len(self.writes):
            writes = len(self.writes)
            await reconcile(GROUP, self)
            most = max(most, len(self.workers))
        return most

    @property
    def workers(self):
        return {key.name for key in self.objects if key.resource == PODS}

    @property
    def degraded(self):
        conditions = self.get(GROUP).value["status"]["conditions"]
        return next(each for each in conditions if each["type"] == "Degraded")


@pytest.mark.parametrize("status", [finished, backing_off])
@pytest.mark.parametrize(
    "seconds, age, left, agent",
    [
        pytest.param(2, 5, 1.5, None, id="it had registered"),
        pytest.param(61, 70, None, None, id="it ran for long"),
        pytest.param(61, 70, None, FakeAgent(left=AgentError("AgentMissing", "no")), id="without an answer"),
    ],
)
async def test_an_end_in_order_is_no_trouble(status, seconds, age, left, agent):
    stand = Stand(status(seconds), age=age, left=left, agent=agent)
    assert await stand.settle() <= 2 + (status is finished)
    assert len(stand.workers) == 2
    assert "ended" not in stand.workers
    assert stand.degraded["status"] == "False"
    [new] = stand.workers - {"other"}
    assert labels.FAILURES not in stand.objects[Key(PODS, "ns", new)]["metadata"]["annotations"]


@pytest.mark.parametrize(
    "status, age, left, agent, reason",
    [
        pytest.param(finished(0), 5, None, None, "PodCompleted", id="`true`, not restarted"),
        pytest.param(backing_off(0), 5, None, None, "CrashLoopBackOff", id="`true`, restarted"),
        pytest.param(finished(2), 5, 6, None, "PodCompleted", id="another pod had its address before"),
        pytest.param(finished(2, 1), 5, 1, None, "PodFailed", id="it had registered and crashed"),
        pytest.param(backing_off(61, 1), 70, 1, None, "CrashLoopBackOff", id="it ran for long and crashed"),
        pytest.param(
            finished(0),
            5,
            None,
            FakeAgent(left=AgentError("SchedulerSilent", "no")),
            "PodCompleted",
            id="without an answer",
        ),
    ],
)
async def test_a_failure_waits(status, age, left, agent, reason):
    stand = Stand(status, age=age, left=left, agent=agent)
    assert await stand.settle() == 2
    assert "ended" in stand.workers
    assert (stand.degraded["status"], stand.degraded["reason"]) == ("True", reason)


async def test_a_scheduler_is_asked_only_about_short_runs_with_exit_code_0():
    for status in (finished(61), backing_off(61), finished(2, 1), backing_off(2, 1)):
        stand = Stand(status)
        await stand.settle()
        assert stand.scheduler.requests == []


async def test_a_worker_that_runs_again_by_now_stays():
    stand = Stand(backing_off(2), left=1)
    stand.lagging = True
    body = stand.objects[Key(PODS, "ns", "ended")]
    stand.add(body | {"status": {"phase": "Running"}})
    await reconcile(GROUP, stand)
    assert "ended" in stand.workers
    stand.relist()
    assert await stand.settle() == 2
    assert "ended" in stand.workers


async def test_of_too_many_workers_the_one_that_has_ended_leaves():
    agent = FakeAgent(left={"ended": 1}, retire=lambda *_: Retired())
    stand = Stand(backing_off(2), agent=agent)
    stand.patch(GROUP, {"spec": {"worker": {"replicas": 1}}})
    await stand.settle()
    assert stand.workers == {"other"}
    assert "retire" not in agent.requests
