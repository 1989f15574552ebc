"""Turns of an autoscaler in a world: what is written, what is reported, when it looks again."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from dask_k8s_autoscaler.plugin import PLUGIN
from dask_k8s_autoscaler.reconcile import REASONS, Autoscaling
from dask_k8s_controller import AgentError, Key
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS

from .builders import KEY, Scheduler, World, autoscaler, cluster, demand, group, load, waiting

CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
GROUP = Key(DASK_WORKER_GROUPS, "ns", "c-default")
BUSY = demand(load(2, tasks=8, seconds=20.0), waiting(40, 40.0))
CALM = demand(load(2, idle=2))


class Turns:
    """An autoscaler in a world, from turn to turn as the loop has them."""

    def __init__(self, *bodies, answer=CALM):
        self.scheduler = Scheduler(answer)
        self.world = World(cluster(), *(bodies or (group(), autoscaler())), scheduler=self.scheduler)
        self.reconcile = Autoscaling().reconcile

    async def turn(self, seconds=0.0, key=KEY):
        """Reconcile after so many seconds; return what was written, and when it wants to look again."""
        self.world.advance(seconds)
        before = len(self.world.writes)
        after = await self.reconcile(key, self.world)
        return self.world.writes[before:], after and after.seconds

    async def turns(self, seconds, each=5.0):
        """Reconcile every `each` seconds for so long."""
        written = []
        for _ in range(int(seconds / each)):
            written += (await self.turn(each))[0]
        return written


RESIZE = "patch DaskWorkerGroup ns/c-default"
ADOPT = "patch DaskAutoscaler ns/auto"
REPORT = "report DaskAutoscaler ns/auto"


async def test_work_makes_workers():
    turns = Turns(answer=BUSY)
    written, again = await turns.turn()
    assert sorted(written) == sorted([ADOPT, RESIZE, REPORT])
    assert again == 5.0
    # 60 s of work, 5 s for each of two threads.
    assert turns.world.size() == 6
    status, reason, message = turns.world.condition()
    assert (status, reason) == ("True", "ScaledUp")
    assert message == (
        "scaled c-default from 2 to 6: 48 tasks with 60 s of work are there, "
        "5 s per thread are wanted"  # codespell:ignore wanted
    )
    numbers = {name: value for name, value in turns.world.status().items() if name != "conditions"}
    assert numbers == {
        "desiredReplicas": 6,
        "currentReplicas": 2,
        "groups": [{"name": "c-default", "desiredReplicas": 6, "currentReplicas": 2}],
        "lastScaleTime": "2026-11-23T12:00:00Z",
        "observedGeneration": 1,
    }


async def test_decisions_are_counted():
    def counted():
        return {
            reason: REGISTRY.get_sample_value("dask_k8s_autoscaler_decisions_total", {"reason": reason})
            for reason in REASONS
        }

    before = counted()
    turns = Turns(group(replicas=30), autoscaler(maximum=8), answer=demand(load(8, idle=8)))
    await turns.turns(45)
    turns.scheduler.answer = demand(waiting(400, 400.0))
    await turns.turns(5)
    made = {reason: count - before[reason] for reason, count in counted().items()}
    assert made == {"Steady": 6, "ScaledUp": 1, "ScaledDown": 2, "BroughtIntoBounds": 1}


async def test_nothing_new_is_not_written_twice():
    turns = Turns(answer=BUSY)
    await turns.turn()
    turns.scheduler.answer = demand(load(2, tasks=8, seconds=20.0), waiting(39, 39.0))
    assert await turns.turns(100) == []


async def test_the_scheduler_is_asked_once_per_interval():
    turns = Turns(group(), autoscaler(intervalSeconds=20))
    _, again = await turns.turn()
    assert again == 20
    for _ in range(10):
        _, again = await turns.turn(1.5)
    assert again == 5
    assert len(turns.scheduler.requests) == 1
    await turns.turn(5)
    assert len(turns.scheduler.requests) == 2


async def test_calm_lets_workers_go_after_a_window_by_steps():
    turns = Turns(group(replicas=8), autoscaler(minimum=1))
    turns.scheduler.answer = demand(load(8, idle=8))
    sizes = []
    for _ in range(40):
        await turns.turn(5)
        sizes.append(turns.world.size())
    # The window of 15 s, then every 15 s a quarter, at least one.
    assert sizes[:18] == [8, 8, 8, 6, 6, 6, 5, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2]
    assert sizes[-1] == 1
    assert turns.world.condition("Limited")[:2] == ("True", "AtMinimum")
    assert turns.world.condition()[1:] == (
        "ScaledDown",
        "scaled c-default from 2 to 1: no more than 0 have been needed for 15 s",
    )


async def test_after_a_restart_nobody_goes_before_a_whole_window():
    turns = Turns(group(replicas=8), autoscaler())
    await turns.turns(10)
    turns.reconcile = Autoscaling().reconcile
    # It waits for its turn within the interval, then the window begins.
    _, turn = await turns.turn()
    await turns.turn(turn)
    await turns.turns(10)
    assert turns.world.size() == 8
    await turns.turn(5)
    assert turns.world.size() == 6


async def test_what_was_done_last_outlives_a_restart():
    turns = Turns(answer=BUSY)
    await turns.turn()
    reported, scaled = turns.world.condition(), turns.world.status()["lastScaleTime"]
    turns.reconcile = Autoscaling().reconcile
    assert await turns.turns(60) == []
    assert turns.world.condition() == reported
    assert turns.world.status()["lastScaleTime"] == scaled


async def test_those_of_a_whole_installation_do_not_all_ask_at_once_after_a_restart():
    old = "2026-11-01T00:00:00Z"
    waits = set()
    for place in range(10):
        body = autoscaler(created=old)
        body["metadata"]["uid"] = f"uid-{place}"
        turns = Turns(group(), body)
        _, again = await turns.turn()
        assert turns.scheduler.requests == []
        assert 0 <= again <= 5
        waits.add(again)
        await turns.turn(again)
        assert len(turns.scheduler.requests) == 1
    assert len(waits) == 10


@pytest.mark.parametrize(
    "replicas, size",
    [
        pytest.param(1, 3, id="too few"),
        pytest.param(40, 10, id="too many"),
        pytest.param(3, 3, id="just enough"),
    ],
)
async def test_the_bounds_need_no_scheduler(replicas, size):
    turns = Turns(group(replicas=replicas), autoscaler(minimum=3, maximum=10))
    turns.world.scheduler = None
    await turns.turn()
    assert turns.world.size() == size


async def test_the_bounds_are_kept_between_two_looks_at_the_scheduler():
    turns = Turns(group(), autoscaler(maximum=10, intervalSeconds=60))
    await turns.turn()
    turns.world.scale("c-default", 50)
    await turns.turn(1)
    assert turns.world.size() == 10
    assert len(turns.scheduler.requests) == 1
    assert turns.world.condition()[1:] == (
        "BroughtIntoBounds",
        "scaled c-default from 50 to 10: 10 is its maximum",
    )


async def test_no_worker_goes_in_a_cooldown():
    turns = Turns(group(), autoscaler(annotations={"kubernetes.dask.org/cooldown-until": "1795435300"}))
    until = 1795435300 - turns.world.now().timestamp()
    assert 60 < until < 200
    await turns.turns(until - 5)
    assert turns.world.size() == 2
    await turns.turns(10)
    assert turns.world.size() == 1


async def test_a_cooldown_does_not_keep_work_waiting():
    turns = Turns(
        group(), autoscaler(annotations={"kubernetes.dask.org/cooldown-until": "9e99"}), answer=BUSY
    )
    await turns.turn()
    assert turns.world.size() == 6


@pytest.mark.parametrize(
    "error", [AgentError("SchedulerUnreachable", "pod c-scheduler: connection refused"), None]
)
async def test_a_scheduler_that_does_not_answer_changes_nothing(error):
    turns = Turns(answer=BUSY)
    await turns.turn()
    turns.scheduler.answer = error
    turns.world.scheduler = turns.scheduler if error else None
    await turns.turns(300)
    assert turns.world.size() == 6
    status, reason, message = turns.world.condition()
    assert status == "False"
    assert (reason, message) == (
        ("SchedulerUnreachable", "pod c-scheduler: connection refused")
        if error
        else ("NoScheduler", "no scheduler of the cluster runs")
    )
    # What was needed meanwhile nobody knows: no worker goes before another window.
    turns.world.scheduler, turns.scheduler.answer = turns.scheduler, CALM
    await turns.turns(60, each=60)
    assert turns.world.size() == 6
    assert turns.world.condition()[0] == "True"


async def test_a_scheduler_that_never_answers_is_asked_less_often_until_the_cluster_changes():
    turns = Turns(answer=AgentError("SchedulerSilent", "pod c-scheduler: no answer in 3 s"))
    waits = [(await turns.turn())[1]]
    for _ in range(7):
        waits.append((await turns.turn(waits[-1]))[1])
    assert waits == [5, 5, 10, 20, 40, 60, 60, 60]
    turns.world.add(cluster())
    _, again = await turns.turn(5)
    assert again == 60
    assert len(turns.scheduler.requests) == 9


async def test_kubectl_scale_wins_over_what_was_decided_meanwhile():
    """The patch carries the version that was seen; what was scaled meanwhile is decided again."""
    turns = Turns(answer=BUSY)
    turns.world.lagging = True
    turns.world.scale("c-default", 30)
    written, again = await turns.turn()
    assert RESIZE not in written
    assert again == 0.5
    turns.world.relist()
    assert turns.world.size() == 30
    written, _ = await turns.turn(0.5)
    assert RESIZE not in written
    assert len(turns.scheduler.requests) == 1


async def test_who_scales_up_by_hand_keeps_it_for_a_window():
    turns = Turns(demand(load(2, idle=2)) and group(), autoscaler())
    await turns.turns(10)
    turns.world.scale("c-default", 9)
    await turns.turns(15)
    assert turns.world.size() == 9
    await turns.turns(5)
    assert turns.world.size() == 7


async def test_a_group_may_change_while_the_scheduler_thinks():
    turns = Turns(answer=BUSY)
    body = turns.world.objects[GROUP]
    turns.scheduler.meanwhile = lambda: turns.world.add({**body, "status": {"replicas": 1}})
    await turns.turn()
    assert turns.world.size() == 6


async def test_a_refusal_is_reported():
    turns = Turns(answer=BUSY)
    turns.world.refuse = lambda action: ApiError(403, "Forbidden", "refused")
    with pytest.raises(ExceptionGroup):
        await turns.turn()
    status, reason, message = turns.world.condition()
    assert (status, reason) == ("False", "Refused")
    assert "refused" in message
    turns.world.refuse = lambda action: None
    await turns.turn(1)
    assert turns.world.condition()[1] == "ScaledUp"
    assert len(turns.scheduler.requests) == 1


async def test_a_cluster_adopts_its_autoscaler():
    turns = Turns()
    await turns.turn()
    (owner,) = turns.world.objects[KEY]["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "name": "c",
        "uid": "uid-of-c",
        "controller": True,
        "blockOwnerDeletion": True,
    }


async def test_an_unknown_cluster():
    turns = Turns(group(), autoscaler())
    turns.world.remove(CLUSTER, dependents=False)
    assert await turns.turn() == ([REPORT], None)
    status, reason, message = turns.world.condition()
    assert (status, reason) == ("False", "ClusterNotFound")
    assert (
        message == 'spec.cluster: there is no DaskCluster "c" in namespace "ns"; it is scaled when there is'
    )
    turns.world.add(cluster())
    turns.scheduler.answer = BUSY
    await turns.turn(1)
    assert turns.world.size() == 6
    assert turns.world.condition()[0] == "True"


async def test_an_autoscaler_of_an_earlier_cluster_does_nothing():
    turns = Turns(answer=BUSY)
    await turns.turn()
    turns.world.add(cluster(uid="another"))
    turns.world.scale("c-default", 1)
    await turns.turn(10)
    assert turns.world.size() == 1
    assert turns.world.condition()[1] == "ClusterNotFound"


@pytest.mark.parametrize(
    "created, name, acts",
    [
        pytest.param("2026-11-23T11:00:00Z", "zz", False, id="older"),
        pytest.param("2026-11-23T12:00:00Z", "aa", False, id="of the same age, earlier by name"),
        pytest.param("2026-11-23T12:00:00Z", "zz", True, id="of the same age, later by name"),
        pytest.param("2026-11-23T12:00:01Z", "aa", True, id="younger"),
    ],
)
async def test_of_two_autoscalers_the_older_acts(created, name, acts):
    turns = Turns(group(), autoscaler(), autoscaler(name, created=created), answer=BUSY)
    await turns.turn()
    assert (turns.world.size() == 6) == acts
    if not acts:
        status, reason, message = turns.world.condition()
        assert (status, reason) == ("False", "AnotherAutoscaler")
        assert f'"{name}"' in message
        assert not turns.scheduler.requests
        turns.world.remove(Key(DASK_AUTOSCALERS, "ns", name))
        await turns.turn(1)
        assert turns.world.size() == 6


async def test_an_unknown_group_is_named_and_the_others_are_scaled():
    groups = [{"name": "c-more", "maximum": 3}, {"name": "nowhere"}]
    turns = Turns(group(), group("c-more", 0), autoscaler(maximum=4, groups=groups), answer=BUSY)
    await turns.turn()
    assert (turns.world.size(), turns.world.size("c-more")) == (4, 2)
    assert turns.world.condition()[:2] == ("True", "ScaledUp")
    assert turns.world.condition("Limited") == (
        "True",
        "GroupNotFound",
        'spec.groups: cluster "c" has no DaskWorkerGroup "nowhere"',
    )


async def test_groups_that_are_not_named_are_left_alone_and_count():
    turns = Turns(group(replicas=0), group("c-fixed", 50), autoscaler(), answer=demand(waiting(40, 100.0)))
    await turns.turn()
    assert (turns.world.size(), turns.world.size("c-fixed")) == (0, 50)


async def test_a_gpu_group_is_scaled_up_from_zero():
    gpus = group("c-gpu", 0, offers={"GPU": 1})
    scaler = autoscaler(groups=[{"name": "c-gpu", "maximum": 4}])
    turns = Turns(group(), gpus, scaler, answer=demand(load(2, idle=2), waiting(3, 1.5, GPU=1.0)))
    await turns.turn()
    assert (turns.world.size(), turns.world.size("c-gpu")) == (2, 1)


async def test_tasks_that_nobody_can_do():
    turns = Turns(answer=demand(load(2, idle=2), waiting(3, 1.5, FPGA=2.0)))
    await turns.turn()
    assert turns.world.condition("Limited") == (
        "True",
        "NoGroupOffers",
        "tasks ask for {FPGA: 2}, and no group that may have workers offers it in spec.worker.daskResources",
    )


async def test_at_the_maximum():
    turns = Turns(group(), autoscaler(maximum=3), answer=BUSY)
    await turns.turn()
    assert turns.world.size() == 3
    assert turns.world.condition("Limited") == (
        "True",
        "AtMaximum",
        "more workers are needed, but c-default is at its maximum of 3",
    )


async def test_a_spec_that_breaks_the_rules():
    turns = Turns(group(), autoscaler(minimum=5, maximum=3))
    assert await turns.turn() == ([REPORT], None)
    status, reason, message = turns.world.condition()
    assert (status, reason) == ("False", "InvalidSpec")
    assert "maximum" in message


async def test_what_is_gone_is_forgotten():
    scaling = Autoscaling()
    turns = Turns()
    turns.reconcile = scaling.reconcile
    await turns.turn()
    turns.world.remove(KEY)
    assert await turns.turn() == ([], None)
    assert scaling == Autoscaling()


async def test_a_scheduler_that_thinks_for_longer_than_the_interval():
    turns = Turns(group(), autoscaler(intervalSeconds=1), answer=BUSY)
    turns.scheduler.meanwhile = lambda: turns.world.advance(2)
    _, again = await turns.turn()
    assert again == 1
    assert len(turns.scheduler.requests) == 1
    assert turns.world.size() == 6


async def test_it_goes_while_the_scheduler_thinks():
    turns = Turns(answer=BUSY)
    turns.scheduler.meanwhile = lambda: turns.world.remove(KEY)
    assert await turns.turn() == ([], None)
    assert turns.world.size() == 2


async def test_another_of_its_name_starts_again():
    turns = Turns(group(replicas=8), autoscaler())
    await turns.turns(15)
    body = autoscaler()
    body["metadata"]["uid"] = "another"
    turns.world.add(body)
    await turns.turn(1)
    assert turns.world.size() == 8


async def test_a_clock_that_is_set_back():
    turns = Turns()
    await turns.turn()
    await turns.turn(-3600)
    assert len(turns.scheduler.requests) == 2
    _, again = await turns.turn()
    assert again == 5


def test_triggers():
    world = World(cluster(), group(), autoscaler(), autoscaler("other"))
    (reconciler,) = PLUGIN.reconcilers
    other = Key(DASK_AUTOSCALERS, "ns", "other")
    assert set(reconciler.triggers[DASK_CLUSTERS](world.get(CLUSTER), world)) == {KEY, other}
    assert set(reconciler.triggers[DASK_WORKER_GROUPS](world.get(GROUP), world)) == {KEY, other}
    assert set(reconciler.triggers[DASK_AUTOSCALERS](world.get(KEY), world)) == {other}
    stray = replace_index(world.get(GROUP))
    assert reconciler.triggers[DASK_WORKER_GROUPS](stray, world) == []


def replace_index(record):
    return record._replace(indexed=None)


@pytest.mark.parametrize("kinds, goes_on", [(2, False), (100, True)])
async def test_the_event_loop_goes_on_while_a_large_decision_is_made(kinds, goes_on):
    """Nothing else in this world lets it go on."""
    parts = [load(2, resources={f"r{number}": 1.0}, tasks=8, seconds=20.0) for number in range(kinds)]
    world = World(cluster(), group(), autoscaler(), scheduler=Scheduler(demand(*parts)))
    passes, reconciling = 0, asyncio.create_task(Autoscaling().reconcile(KEY, world))
    while not reconciling.done():
        await asyncio.sleep(0)
        passes += 1
    await reconciling
    assert (passes > 1) is goes_on
