"""Workers that leave move their data to others: how many are expected, and what comes first."""

import pytest

from dask_k8s_controller.dask.scheduler.agent_client import Successors
from dask_k8s_controller.dask.scheduler.answers import Retired
from dask_k8s_controller.dask.workergroup.reconcile import reconcile
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_controller.testing.world import FakeWorld
from dask_k8s_crds import DaskWorkerGroupStatus, labels
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.conditions import find
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS

from .builders import ago, cluster, group, owned_by, pod

DEFAULT = Key(DASK_WORKER_GROUPS, "ns", "c-default")
OTHER = Key(DASK_WORKER_GROUPS, "ns", "c-other")
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
ANOTHER_CLUSTER = [owned_by("DaskCluster", "c", "uid-of-another-cluster")]


class Scheduler:
    """An agent: it moves data of workers if another runs, and asks them to wait if one is expected."""

    def __init__(self):
        self.questions = []

    def others(self, pods):
        bodies = self.world.objects.items()
        running = {key.name for key, body in bodies if key.resource == PODS and is_ready(body)}
        return running - set(pods)

    async def known(self, pods):
        return frozenset(pods)

    async def retire(self, pods, count, successors):
        self.questions.append(successors)
        chosen = frozenset(sorted(pods)[:count])
        if successors.count and not self.others(chosen):
            return Retired(waiting=chosen)
        return Retired(gone=chosen)


def is_ready(body):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in body["status"]["conditions"])


class Stand:
    """A cluster with two worker groups."""

    def __init__(self, replicas, others=0, *, other=None, **strategy):
        self.scheduler = Scheduler()
        body = cluster()
        body["spec"]["updateStrategy"] = strategy
        more = {"annotations": {labels.CLUSTER_REPLICAS: str(replicas)}}
        groups = [group(replicas=replicas, **more), group("c-other", replicas=others, **other or {})]
        self.world = FakeWorld(body, *groups, scheduler=self.scheduler)
        self.scheduler.world = self.world

    def pods(self, name="c-default"):
        uid = f"uid-of-{name}"
        found = (body for key, body in self.world.objects.items() if key.resource == PODS)
        return [body for body in found if body["metadata"]["ownerReferences"][0]["uid"] == uid]

    def start(self):
        """All pods run and are ready."""
        for body in self.pods() + self.pods("c-other"):
            number = body["metadata"]["name"][-4:]
            status = {
                "phase": "Running",
                "podIP": number,
                "conditions": [{"type": "Ready", "status": "True"}],
            }
            self.world.add({**body, "status": status})

    async def turn(self, key=DEFAULT, *, start=True):
        await reconcile(key, self.world)
        if start:
            self.start()

    def edit(self, key=DEFAULT, **worker):
        self.world.patch(key, {"spec": {"worker": worker}})

    def new_template(self):
        self.edit(spec={"priorityClassName": "new"})

    def condition(self, kind="Progressing"):
        status = DaskWorkerGroupStatus.of(self.world.objects[DEFAULT])
        return find(status.conditions, kind)

    @property
    def updated(self):
        return [body["spec"].get("priorityClassName") for body in self.pods()]


@pytest.mark.parametrize("replicas", [1, 2, 3, 4, 9])
async def test_a_rolling_update_creates_first_and_deletes_then(replicas):
    stand = Stand(replicas)
    await stand.turn()
    stand.new_template()
    for _ in range(4 * replicas):
        await stand.turn()
        assert replicas - replicas // 4 <= len(stand.pods()) <= replicas + -(-replicas // 4)
    assert stand.updated == ["new"] * replicas
    assert stand.condition("Ready").status == "True"
    assert all(asked.count >= 1 for asked in stand.scheduler.questions)


def refuse_more_than(stand, most):
    """A quota of pods."""
    error = ApiError(403, "Forbidden", "pods is forbidden: exceeded quota: pods")

    def refuse(action):
        pods = sum(key.resource == PODS for key in stand.world.objects)
        return error if isinstance(action, Create) and pods >= most else None

    stand.world.refuse = refuse


async def test_a_quota_that_refuses_an_additional_worker_does_not_stop_the_update():
    stand = Stand(2)
    await stand.turn()
    refuse_more_than(stand, 2)
    stand.new_template()
    await stand.turn()
    progress = stand.condition()
    assert progress.reason == "SurgeRefused"
    assert "goes on without an additional worker (updateStrategy.maxSurge)" in progress.message
    assert "exceeded quota: pods" in progress.message
    assert stand.condition("Degraded").status == "False"
    for _ in range(8):
        assert len(stand.pods()) >= 1
        await stand.turn()
    assert stand.updated == ["new", "new"]


async def test_with_a_quota_the_data_of_an_only_worker_is_lost_because_no_successor_can_come():
    stand = Stand(1)
    await stand.turn()
    refuse_more_than(stand, 1)
    stand.new_template()
    for _ in range(4):
        await stand.turn()
    assert stand.updated == ["new"]
    assert stand.scheduler.questions == [Successors(0, 300.0)]


async def test_a_quota_that_refuses_desired_workers_is_an_error():
    stand = Stand(2)
    refuse_more_than(stand, 1)
    with pytest.raises(ExceptionGroup):
        await stand.turn()
    assert stand.condition("Degraded").reason == "QuotaExceeded"


async def test_an_additional_worker_without_a_node_is_not_awaited_after_the_time_for_draining():
    stand = Stand(1, drainTimeoutSeconds=100)
    await stand.turn()
    stand.new_template()
    await stand.turn(start=False)
    [new] = [body for body in stand.pods() if "status" not in body]
    stand.world.add({**new, "status": {"phase": "Pending", "conditions": [UNSCHEDULABLE]}})
    stand.world.advance(99)
    await stand.turn(start=False)
    assert len(stand.pods()) == 2
    assert stand.scheduler.questions == []
    stand.world.advance(1)
    await stand.turn(start=False)
    assert stand.updated == ["new"]


@pytest.mark.parametrize(
    "others, other, expected",
    [
        pytest.param(0, {}, 0, id="scaled to zero"),
        pytest.param(2, {}, 2, id="the other group grows"),
        pytest.param(
            2, {"deletionTimestamp": ago(1), "finalizers": ["x"]}, 0, id="the other group is deleted"
        ),
        pytest.param(2, {"ownerReferences": ANOTHER_CLUSTER}, 0, id="the other group is another cluster's"),
    ],
)
async def test_successors_in_another_group(others, other, expected):
    stand = Stand(1, others, other=other, drainTimeoutSeconds=60)
    await stand.turn()
    stand.edit(replicas=0)
    await stand.turn()
    assert stand.scheduler.questions == [Successors(expected, 60.0)]
    assert len(stand.pods()) == (1 if expected else 0)
    if not expected:
        return
    assert stand.condition().reason == "WaitingForSuccessors"
    await stand.turn(OTHER)
    await stand.turn()
    assert stand.pods() == []


@pytest.mark.parametrize(
    "age, expected", [pytest.param(9, 1, id="not yet"), pytest.param(600, 0, id="for too long")]
)
async def test_a_worker_without_a_node_is_a_successor_for_a_limited_time(age, expected):
    stand = Stand(1, 1)
    await stand.turn()
    owner = owned_by("DaskWorkerGroup", "c-other", "uid-of-c-other")
    waiting = pod("x", phase="Pending", created=age, owner=owner)
    waiting["status"]["conditions"] = [UNSCHEDULABLE]
    stand.world.add(waiting)
    stand.edit(replicas=0)
    await stand.turn(start=False)
    assert stand.scheduler.questions == [Successors(expected, 300.0)]


async def test_an_only_worker_that_may_be_missing_waits_for_its_successor():
    stand = Stand(1, maxUnavailable=1)
    await stand.turn()
    stand.new_template()
    await stand.turn(start=False)
    assert stand.scheduler.questions == [Successors(1, 300.0)]
    assert stand.condition().reason == "WaitingForSuccessors"
    assert all(labels.DRAINING_SINCE not in body["metadata"]["annotations"] for body in stand.pods())
    stand.start()
    await stand.turn()
    assert stand.updated == ["new"]


async def test_a_suspended_cluster_waits_for_nobody():
    stand = Stand(1, 1)
    await stand.turn()
    stand.world.patch(
        next(key for key in stand.world.objects if key.name == "c"), {"spec": {"suspend": True}}
    )
    await stand.turn()
    assert (stand.pods(), stand.scheduler.questions) == ([], [])
