"""Which workers leave a group, and which stay until their data is on other workers."""

from datetime import timedelta

import pytest

from dask_k8s_controller.dask.pods.view import LOST_SECONDS
from dask_k8s_controller.dask.scheduler.agent_client import Successors
from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.dask.workergroup.observe import run_on
from dask_k8s_controller.dask.workergroup.reconcile import (
    drain_terminating,
    retire_workers,
    unregistered_workers,
)
from dask_k8s_controller.dask.workergroup.retirement import (
    POLL_SECONDS,
    REGISTER_SECONDS,
    RETRY_SECONDS,
    Drain,
    Step,
    retirement,
)
from dask_k8s_controller.dask.workergroup.rollout import delete_overdue, successors
from dask_k8s_controller.dask.workergroup.scale import scale_down
from dask_k8s_crds import labels
from dask_k8s_crds.resources import PODS
from dask_k8s_crds.updates import UpdateStrategy

from .builders import NOW, STARTING, pod, record


def running(name, **more):
    return record(PODS, pod(name, ready=True, **more))


def pending(name, **more):
    return record(PODS, pod(name, phase="Pending", **more))


def starting(name):
    return record(PODS, pod(name, **STARTING))


def unready(name, **more):
    return record(PODS, pod(name, **more))


NONE = Successors()


class Agent:
    """A scheduler in which the workers of ``free`` pods hold nothing, and others retire for ever."""

    def __init__(self, *free, stuck=(), error=None, says=(), alone=()):
        self.free, self.stuck, self.error, self.says, self.alone = free, stuck, error, says, alone

    async def known(self, pods):
        if self.error:
            raise self.error
        return frozenset(self.free).intersection(pods)

    async def retire(self, pods, count, successors):
        if self.error:
            raise self.error
        order = sorted(pods, key=lambda name: (name not in self.free, name))[:count]
        gone = frozenset(order).intersection(self.free) | set(self.says)
        stuck = {name: "no room" for name in order if name in self.stuck}
        waiting = frozenset(self.alone) & set(order) if successors.count else frozenset()
        retiring = frozenset(order) - gone - set(stuck) - waiting
        return Retired(gone=gone, retiring=retiring, stuck=stuck, waiting=waiting)


async def retired(step, agent, successors=NONE):
    """Do as a reconcile does: ask the agent, and read its answers."""
    return retirement(step, await retire_workers(step.drains, agent, successors), NOW, successors)


async def scaled_down(living, surplus, agent, digest=""):
    """Retire workers that are too many."""
    return await retired(scale_down(living, surplus, digest), agent)


async def rolled_out(step, agent):
    """Take one step of a rollout."""
    return await retired(delete_overdue(step, NOW), agent)


SILENT = Agent(error=AgentError("SchedulerSilent", "no answer in 3 s"))


@pytest.mark.parametrize(
    "living, surplus, agent, pods, retiring, reason, look_again",
    [
        pytest.param([running("a")], 0, Agent("a"), [], 0, None, None, id="none"),
        pytest.param([running("a")], -2, Agent("a"), [], 0, None, None, id="less than none"),
        pytest.param(
            [running("a"), running("b")],
            1,
            Agent("b"),
            ["b"],
            0,
            None,
            None,
            id="the one that the scheduler chooses",
        ),
        pytest.param(
            [running("a"), running("b")], 1, Agent(), [], 1, "Retiring", POLL_SECONDS, id="it retires"
        ),
        pytest.param(
            [running("a"), running("b"), running("c")],
            2,
            Agent("c"),
            ["c"],
            1,
            "Retiring",
            POLL_SECONDS,
            id="one is free, one retires",
        ),
        pytest.param(
            [running("a"), running("b")],
            1,
            Agent(stuck=["a"]),
            [],
            1,
            "WorkersStuck",
            RETRY_SECONDS,
            id="no room for its data",
        ),
        pytest.param(
            [running("a"), running("b")],
            1,
            SILENT,
            [],
            1,
            "SchedulerSilent",
            RETRY_SECONDS,
            id="a scheduler that does not answer: it stays",
        ),
        pytest.param(
            [running("a"), pending("b"), pending("c", created=5)],
            1,
            SILENT,
            ["c"],
            0,
            None,
            None,
            id="pending ones go without a question, the newest first",
        ),
        pytest.param(
            [running("a"), pending("b"), unready("c")],
            2,
            Agent("a", "c"),
            ["b", "c"],
            0,
            None,
            None,
            id="then unready ones",
        ),
        pytest.param(
            [running("a"), pending("b"), unready("c")],
            3,
            Agent("c"),
            ["b", "c"],
            1,
            "Retiring",
            POLL_SECONDS,
            id="one of each",
        ),
        pytest.param(
            [running("a"), starting("b"), pending("c")],
            2,
            Agent(),
            ["c"],
            1,
            "Retiring",
            POLL_SECONDS,
            id="the scheduler knows a worker whose start the node has not reported yet",
        ),
        pytest.param(
            [running("a"), starting("b"), pending("c")],
            2,
            Agent("b"),
            ["c", "b"],
            0,
            None,
            None,
            id="it does not know one that is starting",
        ),
        pytest.param(
            [running("a", created=9), running("b", created=5)],
            1,
            None,
            ["b"],
            0,
            None,
            None,
            id="without a scheduler there is nothing to save: the newest",
        ),
        pytest.param(
            [running("b", created=9), running("a", created=9)], 1, None, ["a"], 0, None, None, id="of one age"
        ),
        pytest.param([running("a")], 5, None, ["a"], 0, None, None, id="more than there are"),
        pytest.param(
            [running("a"), running("b"), running("c")],
            1,
            Agent("a", says=("b", "c")),
            ["a"],
            0,
            None,
            None,
            id="a scheduler that names more than it was asked for",
        ),
    ],
)
async def test_scale_down(living, surplus, agent, pods, retiring, reason, look_again):
    result = await scaled_down(living, surplus, agent)
    assert [pod.key.name for pod in result.pods] == pods
    assert result.retiring == retiring
    assert (result.finding.reason if result.finding else None) == reason
    assert result.look_again == look_again


def at(ip, name, **more):
    body = pod(name, annotations={labels.TEMPLATE_DIGEST: "new"}, **more)
    body["status"]["podIP"] = ip
    return record(PODS, body)


def outdated(name, state=running, **annotations):
    return state(name, annotations={labels.TEMPLATE_DIGEST: "old", **annotations})


async def test_of_those_alike_the_outdated_go_first():
    living = [running("a"), outdated("b"), pending("c"), outdated("d", pending)]
    order = [(await scaled_down(living, count, None, "new")).pods[-1].key.name for count in (1, 2, 3, 4)]
    assert order == ["d", "c", "b", "a"]


@pytest.mark.parametrize(
    "agent, since, pods, draining, look_again",
    [
        pytest.param(Agent("a"), None, ["a"], [], None, id="it holds nothing"),
        pytest.param(Agent(), None, [], ["a"], POLL_SECONDS, id="it retires"),
        pytest.param(Agent(), 299.8, [], ["a"], 0.2, id="its time is nearly over"),
        pytest.param(Agent(), 300, ["a"], [], None, id="its time is over"),
        pytest.param(Agent(stuck=["a"]), 10, [], ["a"], RETRY_SECONDS, id="its data cannot be moved"),
        pytest.param(SILENT, None, [], ["a"], RETRY_SECONDS, id="the scheduler is silent"),
        pytest.param(SILENT, 300, ["a"], [], None, id="the scheduler is silent for too long"),
        pytest.param(None, None, ["a"], [], None, id="there is no scheduler"),
    ],
)
async def test_draining_times_out(agent, since, pods, draining, look_again):
    marks = {} if since is None else {labels.DRAINING_SINCE: (NOW - timedelta(seconds=since)).isoformat()}
    worker = outdated("a", **marks)
    step = Step(drains=(Drain((worker,), 1),), rollout=UpdateStrategy())
    result = await rolled_out(step, agent)
    assert [pod.key.name for pod in result.pods] == pods
    assert [pod.key.name for pod in result.draining] == draining
    assert result.look_again == (None if look_again is None else pytest.approx(look_again))


@pytest.mark.parametrize(
    "agent, missing",
    [
        pytest.param(Agent("a", "b"), [], id="all are known"),
        pytest.param(Agent("a"), ["b"], id="one is not"),
        pytest.param(SILENT, [], id="the scheduler does not say"),
        pytest.param(None, [], id="there is no scheduler"),
    ],
)
async def test_unregistered_workers(agent, missing):
    living = [
        at("10.0.0.1", "a", ready=True),
        at("10.0.0.2", "b", ready=True),
        at("", "of an address that others have", ready=True),
        at("10.0.0.3", "not ready"),
        outdated("old"),
    ]
    found = await unregistered_workers(successors(living, "new"), agent)
    assert [pod.key.name for pod in found] == missing
    result = await rolled_out(Step(unregistered=found, rollout=UpdateStrategy()), agent)
    assert (result.finding.reason if result.finding else None) == (
        "WorkersNotRegistered" if missing else None
    )
    assert result.look_again == (REGISTER_SECONDS if missing else None)


async def test_a_silent_scheduler_does_not_change_which_worker_drains():
    first, second = outdated("a"), outdated("b", **{labels.DRAINING_SINCE: "2026-11-23T11:59:00Z"})
    for candidates in ((first, second), (second, first)):
        result = await rolled_out(Step(drains=(Drain(candidates, 1),), rollout=UpdateStrategy()), SILENT)
        assert result.draining == (second,)


async def test_the_choice_does_not_depend_on_the_order_of_the_cache():
    living = [running("a"), pending("b"), unready("c"), running("d", created=5)]
    first, second = [await scaled_down(order, 3, None) for order in (living, living[::-1])]
    assert first == second


PRE_STOP = {"containers": [{"name": "dask", "lifecycle": {"preStop": {"sleep": {"seconds": 20}}}}]}


@pytest.mark.parametrize(
    "terminating, agent, look_again",
    [
        pytest.param(running("a", spec=PRE_STOP, deletion=-9), Agent(), POLL_SECONDS, id="it retires"),
        pytest.param(
            running("a", spec=PRE_STOP, deletion=-9),
            Agent("a"),
            RETRY_SECONDS,
            id="it must get no new tasks",
        ),
        pytest.param(
            running("a", spec=PRE_STOP, deletion=-9),
            SILENT,
            RETRY_SECONDS,
            id="the scheduler does not answer",
        ),
        pytest.param(running("a", spec=PRE_STOP, deletion=-9), None, None, id="there is no scheduler"),
        pytest.param(
            running("a", spec=PRE_STOP, deletion=LOST_SECONDS), Agent(), None, id="it is on a lost node"
        ),
        pytest.param(running("a", deletion=-9), Agent(), None, id="its process is ending already"),
        pytest.param(pending("a", spec=PRE_STOP, deletion=-9), Agent(), None, id="its process has never run"),
    ],
)
async def test_drain_terminating(terminating, agent, look_again):
    leaving = run_on([terminating], NOW)
    assert (await drain_terminating(leaving, agent, NONE) if leaving else None) == look_again


@pytest.mark.parametrize(
    "count, message",
    [
        pytest.param(1, "waiting for 1 successor to take the data of a and 1 more", id="one"),
        pytest.param(3, "waiting for one of 3 successors to take the data of a and 1 more", id="several"),
    ],
)
async def test_workers_wait_for_successors(count, message):
    step = Step(drains=(Drain((outdated("a"), outdated("b")), 2),), rollout=UpdateStrategy())
    result = await retired(step, Agent(alone=["a", "b"]), Successors(count, 300))
    assert (result.pods, result.retiring, result.finding) == ((), 2, ("WaitingForSuccessors", message))
    # Their time to drain begins when a successor is there.
    assert (result.draining, result.look_again) == ((), REGISTER_SECONDS)
