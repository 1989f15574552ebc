"""Work goes to other groups while the workers of one do not start, and returns when they have registered."""

import pytest

from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_controller.testing.objects import ago

from .builders import KEY, Scheduler, World, autoscaler, cluster, demand, group, load, pods, waiting

SPOT = {"name": "c-spot", "priority": -10}
NOT_READY = "group c-spot: 5 of 5 workers have not been ready"
LONG = "more than fallbackSeconds (60)"
FULL = "more workers are needed, but c-default is at its maximum of 0"
SCALED = (
    "scaled c-default from 0 to 5: 50 tasks with 50 s of work are there, "
    "5 s per thread are wanted"  # codespell:ignore wanted
)


class Turns:
    """An autoscaler that prefers the group c-spot to the default group, and work for five workers."""

    def __init__(self, statuses, *, since=75.0, default=0, spot=5, answer=None, **of_spot):
        self.scheduler = Scheduler(answer or demand(waiting(50, 50.0)))
        self.world = World(
            cluster(),
            group(replicas=default),
            *pods("c-default", ["ready"] * default),
            group("c-spot", spot, ready=0),
            *pods("c-spot", statuses, since=since),
            autoscaler(groups=[SPOT | of_spot]),
            scheduler=self.scheduler,
        )
        self.scaling = Autoscaling()

    async def turn(self, seconds=5.0):
        """Reconcile after so many seconds; return the sizes of c-spot and of the default group."""
        self.world.advance(seconds)
        await self.scaling.reconcile(KEY, self.world)
        return self.world.size("c-spot"), self.world.size()

    def show(self, *statuses):
        """Let the pods of c-spot be like this."""
        self.world.add(*pods("c-spot", statuses))


def registered(spot, default):
    """The answer of a scheduler that knows so many workers of the groups and has work for five."""
    by_group = {"c-spot": spot, "c-default": default}
    return demand(load(spot + default, tasks=10, seconds=500.0, pods=by_group, pinned={}))


async def test_work_goes_to_the_next_group_after_a_while():
    turns = Turns(["Unschedulable"] * 5, since=0)
    assert await turns.turn(55) == (5, 0)
    assert await turns.turn(10) == (5, 5), "the stuck pods stay, for whoever adds nodes"
    assert turns.world.condition("Limited") == (
        "True",
        "WorkersNotStarting",
        f"{NOT_READY} since 2026-11-23T12:00:00Z (Unschedulable), {LONG}; their load goes to c-default",
    )
    assert turns.world.condition()[1:] == (
        "ScaledUp",
        f"{SCALED}; {NOT_READY} for 65 s (Unschedulable), {LONG}",
    )
    by_name = {each["name"]: each for each in turns.world.status()["groups"]}
    assert by_name["c-spot"]["stuckReplicas"] == 5
    assert "stuckReplicas" not in by_name["c-default"]


async def test_only_the_load_of_those_that_are_stuck_goes():
    turns = Turns(["ready"] * 2 + ["Unschedulable"] * 3)
    assert await turns.turn() == (5, 3)


async def test_pods_that_have_been_stuck_before_a_restart_of_the_controller_do_not_count():
    turns = Turns(["Unschedulable"] * 5)
    assert await turns.turn() == (5, 5)


@pytest.mark.parametrize("seconds, default", [(70, 0), (30, 5)])
async def test_the_time_is_a_field(seconds, default):
    turns = Turns(["Unschedulable"] * 5, since=50, fallbackSeconds=seconds)
    assert await turns.turn() == (5, default)


@pytest.mark.parametrize("reason", ["pending", "running", "ready"])
async def test_pods_that_start_count(reason):
    turns = Turns([reason] * 5)
    assert await turns.turn() == (5, 0)


async def test_a_stuck_group_has_the_size_that_it_would_have_if_its_workers_started():
    turns = Turns(["Unschedulable"] * 5)
    await turns.turn()
    turns.scheduler.answer = demand(waiting(80, 80.0))
    assert await turns.turn() == (8, 8)
    turns.scheduler.answer = demand(waiting(20, 20.0))
    for _ in range(40):
        sizes = await turns.turn()
    assert sizes == (2, 2)


async def test_workers_of_the_other_group_retire_when_the_first_have_registered_and_not_before():
    turns = Turns(["Unschedulable"] * 5, default=5, answer=registered(0, 5))
    for _ in range(10):
        assert await turns.turn() == (5, 5)
    turns.show(*["pending"] * 5)
    for _ in range(10):
        assert await turns.turn() == (5, 5), "they start"
    turns.show(*["ready"] * 5)
    for _ in range(10):
        assert await turns.turn() == (5, 5), "they are ready and have not registered"
    turns.scheduler.answer = registered(3, 5)
    for _ in range(30):
        sizes = await turns.turn()
    assert sizes == (5, 2)
    turns.scheduler.answer = registered(5, 2)
    for _ in range(30):
        sizes = await turns.turn()
    assert sizes == (5, 0)
    assert turns.world.condition("Limited")[0] == "False"


async def test_an_older_agent_does_not_report_who_has_registered():
    answer = demand(load(10, idle=5, tasks=10, seconds=500.0, busy={"c-spot": 5}))
    turns = Turns(["pending"] * 5, default=5, answer=answer)
    for _ in range(10):
        assert await turns.turn() == (5, 5)
    turns.show(*["ready"] * 5)
    for _ in range(30):
        sizes = await turns.turn()
    assert sizes == (5, 0)


async def test_no_other_group():
    turns = Turns(["Unschedulable"] * 5)
    turns.world.patch(KEY, {"spec": {"maximum": 0}})
    assert await turns.turn() == (5, 0)
    assert turns.world.condition("Limited")[1:] == (
        "WorkersNotStarting",
        f"{NOT_READY} since 2026-11-23T11:58:45Z (Unschedulable), {LONG}; {FULL}",
    )


async def test_pods_that_cannot_be_created_do_not_count():
    turns = Turns([])
    condition = {
        "type": "Degraded",
        "status": "True",
        "reason": "QuotaExceeded",
        "message": "exceeded quota",
        "lastTransitionTime": ago(75),
    }
    turns.world.add(group("c-spot", 5, ready=0) | {"status": {"replicas": 0, "conditions": [condition]}})
    assert await turns.turn() == (5, 5)
    assert "(QuotaExceeded)" in turns.world.condition("Limited")[2]


async def test_pods_that_are_about_to_be_created_count():
    turns = Turns([])
    assert await turns.turn(100) == (5, 0)


async def test_stuck_pods_without_work_retire():
    turns = Turns(["Unschedulable"] * 5, answer=demand())
    for _ in range(40):
        sizes = await turns.turn()
    assert sizes == (0, 0)
    assert turns.world.condition("Limited")[0] == "False"


async def test_groups_that_are_not_scaled_can_be_stuck_as_well():
    turns = Turns(["Unschedulable"] * 5)
    turns.world.patch(KEY, {"spec": {"groups": []}})
    assert await turns.turn() == (5, 5)


async def test_lost_pods_are_replaced_below_the_maximum():
    turns = Turns(["ready"] * 4 + ["lost"], since=75)
    assert await turns.turn() == (6, 0)
    turns.world.patch(KEY, {"spec": {"groups": [SPOT | {"maximum": 5}]}})
    await turns.turn()
    assert await turns.turn() == (5, 1)
