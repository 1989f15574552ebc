"""What the agent reports of the scheduler's work."""

import pytest


async def test_workers_are_counted_by_what_they_offer(dask):
    await dask.workers("plain-0", "plain-1", nthreads=2)
    await dask.workers("gpu-0", resources={"GPU": 2, "FOO": 1}, memory_limit=5 * 10**8)
    await dask.run("held = client.submit(hold, record, 0, until=go, workers='plain-0')")
    await dask.run("data = client.submit(make, record, 0, size=10**7, workers='gpu-0'); data.result()")
    demand = await dask.until("demand", lambda demand: sum(load["processing"] for load in demand["loads"]))
    plain, gpu = sorted(demand["loads"], key=lambda load: load["resources"].items())
    assert gpu.pop("memory") > 10**7
    assert gpu.pop("managed") == 10**7
    assert gpu == {
        "resources": {"GPU": 2.0, "FOO": 1.0},
        "workers": 1,
        "idle": 1,
        "threads": 1,
        "processing": 0,
        "asked": {"GPU": 0.0, "FOO": 0.0},
        "busy": {},
        "occupancy": 0.0,
        "memory_limit": 5 * 10**8,
        "pods": {"": 1},
        "pinned": {},
        "pinned_tasks": 0,
        "pinned_seconds": 0.0,
    }
    assert plain.pop("memory") > 0
    assert plain.pop("occupancy") == plain.pop("pinned_seconds") > 0
    assert plain == {
        "resources": {},
        "workers": 2,
        "idle": 1,
        "threads": 4,
        "processing": 1,
        "asked": {},
        "busy": {},
        "managed": 0,
        "memory_limit": 2 * 10**9,
        "pods": {"": 2},
        "pinned": {"": 1},
        "pinned_tasks": 1,
    }


async def test_busy_workers_are_counted_by_their_group(dask):
    names = "c-default-worker-0123456789", "c-default-worker-0123456789-1", "c-more-worker-abcdef0123", "mine"
    await dask.workers(*names)
    await dask.run("held = client.map(hold, [record] * 8, range(8), until=go)")
    demand = await dask.until("demand", lambda demand: demand["loads"][0]["idle"] == 0)
    assert demand["loads"][0]["busy"] == {"c-default": 2, "c-more": 1}
    assert demand["loads"][0]["pods"] == {"c-default": 1, "c-more": 1, "": 1}


async def test_what_tasks_ask_for_is_counted_also_where_they_have_to_queue(dask):
    await dask.workers("gpu-0", nthreads=4, resources={"GPU": 1})
    await dask.run("held = client.map(hold, [record] * 3, range(3), until=go, resources={'GPU': 1})")
    demand = await dask.until("demand", lambda demand: demand["loads"][0]["processing"] == 3)
    [load] = demand["loads"]
    assert load["asked"] == {"GPU": 3.0}
    assert demand["waiting"] == []


async def test_retiring_workers_are_not_counted(dask):
    await dask.workers("a", "b", "c")
    await dask.retire(["a"], 1)
    demand = await dask.get("demand")
    assert [load["workers"] for load in demand["loads"]] == [2]


async def test_what_waits_is_counted_by_what_it_asks_for(world):
    durations = {"hold": "3 s", "make": "500 ms"}
    await world.start(
        DASK_DISTRIBUTED__SCHEDULER__DEFAULT_TASK_DURATIONS=str(durations),
        DASK_DISTRIBUTED__SCHEDULER__UNKNOWN_TASK_DURATION="100 ms",
        DASK_DISTRIBUTED__ADAPTIVE__TARGET_DURATION="1 minute",
    )
    await world.run("gpu = client.map(hold, [record] * 4, range(4), until=go, resources={'GPU': 1})")
    await world.run("both = client.submit(int, 1, resources={'GPU': 1, 'FOO': 2})")
    await world.run("plain = client.map(make, [record] * 4000, range(4000))")
    demand = await world.until(
        "demand", lambda demand: sum(each["tasks"] for each in demand["waiting"]) >= 4005
    )
    assert demand["target_duration"] == 60
    assert demand["idle_seconds"] is None
    assert demand["loads"] == []
    found = {frozenset(each.pop("resources").items()): each for each in demand["waiting"]}
    assert found == {
        frozenset([("GPU", 1.0)]): {"tasks": 4, "seconds": 12.0},
        frozenset([("GPU", 1.0), ("FOO", 2.0)]): {"tasks": 1, "seconds": 0.1},
        frozenset(): {"tasks": 4000, "seconds": pytest.approx(2000)},
    }


async def test_what_is_queued_waits(dask):
    await dask.workers("only")
    await dask.run("held = client.map(hold, [record] * 50, range(50), until=go)")
    demand = await dask.until("demand", lambda demand: demand["waiting"])
    (load,), (queued,) = demand["loads"], demand["waiting"]
    assert load["processing"] + queued["tasks"] == 50
    assert queued["resources"] == {}
    dask.let_go()
    await dask.run("client.gather(held)")
    assert (await dask.get("demand"))["waiting"] == []


TASKS = {
    "of unknown duration": ("client.map(hold, [record] * 4, range(4), until=go)", {"c-a": 2, "c-b": 2}),
    "short": ("client.map(short, [record] * 4, range(4), until=go)", {}),
    "long": ("client.map(long, [record] * 4, range(4), until=go)", {"c-a": 2, "c-b": 2}),
    "of one worker": ("client.map(short, [record] * 9, range(9), until=go, workers=A)", {"c-a": 1}),
    "of one host": ("client.map(short, [record] * 9, range(9), until=go, workers='127.0.0.1')", {}),
    "of one worker, or any other": (
        "client.map(short, [record] * 9, range(9), until=go, workers=A, allow_other_workers=True)",
        {},
    ),
    "of an actor": ("client.submit(Counter, actor=True, workers=A).result()", {"c-a": 1}),
    "of a task that submits others": ("client.submit(secede_and_hold, record, 0, go, workers=A)", {"c-a": 1}),
}


@pytest.mark.parametrize("tasks, pinned", TASKS.values(), ids=TASKS)
async def test_workers_have_to_stay_for_what_nobody_can_take_over(world, tasks, pinned):
    await world.start(
        DASK_DISTRIBUTED__SCHEDULER__DEFAULT_TASK_DURATIONS=str({"short": "1 s", "long": "61 s"})
    )
    names = [f"c-{group}-worker-{number:010}" for group in "ab" for number in (1, 2)]
    await world.workers(*names)
    await world.run(f"A = {names[0]!r}; done = {tasks}")
    restricted = "workers=" in tasks and "allow_other" not in tasks
    if "127.0.0.1" in tasks:
        pinned = {"c-a": 2, "c-b": 2}
    demand = await world.until(
        "demand",
        lambda demand: demand["loads"][0]["pinned"] == pinned and ("Counter" in tasks or not idle(demand)),
    )
    [load] = demand["loads"]
    assert load["pinned_tasks"] == (load["processing"] if restricted else 0)
    assert load["pinned_seconds"] == (pytest.approx(load["occupancy"]) if restricted else 0)
    assert demand["restricted"] == 0


def idle(demand):
    return demand["loads"][0]["idle"] == demand["loads"][0]["workers"]


async def test_tasks_for_workers_that_are_not_there_are_no_reason_for_others(dask):
    await dask.workers("leaves", "stays")
    await dask.run(
        """
        leaves = client.scheduler_info()["workers"]
        [address] = [each for each, worker in leaves.items() if worker["name"] == "leaves"]
        """
    )
    await dask.kill("leaves")
    await dask.run("lost = client.map(make, [record] * 30, range(30), workers=address)")
    await dask.run("gpu = client.submit(int, 1, resources={'GPU': 1})")
    demand = await dask.until("demand", lambda demand: demand["restricted"] and demand["waiting"])
    assert demand["restricted"] == 30
    assert [(each["resources"], each["tasks"]) for each in demand["waiting"]] == [({"GPU": 1.0}, 1)]


async def test_workers_that_exchange_the_parts_of_a_shuffle_have_to_stay(dask):
    await dask.workers("c-a-worker-0123456789", "c-b-worker-0123456789")
    await dask.run(
        """
        class Shuffle:
            participating_workers = set()

        def take_part(dask_scheduler):
            dask_scheduler.plugins["shuffle"].active_shuffles["an id"] = shuffle = Shuffle()
            shuffle.participating_workers = {list(dask_scheduler.workers)[0]}

        client.run_on_scheduler(take_part)
        """
    )
    [load] = (await dask.get("demand"))["loads"]
    assert sum(load["pinned"].values()) == 1
