"""Workers retire, and no data or task is lost."""

import asyncio

import pytest

SIX = [f"pod-{number}" for number in range(6)]


async def retired(dask, pods, count, **more):
    """Ask until the requested number has retired."""
    async with asyncio.timeout(30):
        while len((answer := await dask.retire(pods, count, **more))["gone"]) < count:
            assert not answer["stuck"]
    return answer["gone"]


async def statuses(dask):
    """Return the status of each worker, by name."""
    return await dask.run(
        """
        answer = client.run_on_scheduler(
            lambda dask_scheduler: {ws.name: ws.status.name for ws in dask_scheduler.workers.values()}
        )
        """
    )


async def has_status(dask, name, status):
    """Wait until a worker has a status."""
    async with asyncio.timeout(20):
        while (await statuses(dask))[name] != status:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def test_data_outlives_the_workers_while_work_goes_on(dask):
    await dask.workers(*SIX)
    await dask.run(
        """
        data = client.map(make, [record] * 60, range(60))
        wait(data)
        held = [client.submit(hold, record, n, until=go, workers=f"pod-{n}") for n in range(6)]
        sums = [client.submit(total, record, n, *data[n:n + 20]) for n in range(40)]
        """
    )
    await dask.executes(*(f"hold {number}" for number in range(6)))
    first = await dask.retire(SIX, 3, wait=0.5)
    assert len(first["retiring"]) == 3  # each executes a task that waits
    dask.let_go()
    gone = await retired(dask, SIX, 3)
    assert gone == first["retiring"]
    await dask.kill(*gone)
    assert await dask.run("answer = client.gather(sums)") == [20_000] * 40
    assert await dask.run("answer = client.gather(held), sum(map(len, client.gather(data)))") == [
        list(range(6)),
        60_000,
    ]
    # Each was executed once: tasks whose results were in memory, and tasks of retired workers.
    assert len(dask.executions) == len(set(dask.executions)) == 60 + 6 + 40


@pytest.mark.parametrize("stealing", ["True", "False"])
async def test_queued_tasks_go_to_other_workers(world, stealing):
    await world.start(DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING=stealing)
    await world.workers("leaves")
    await world.run(
        """
        held = client.submit(hold, record, 0, until=go)
        anywhere = {"workers": "leaves", "allow_other_workers": True}
        queued = [client.submit(total, record, n, **anywhere) for n in range(8)]
        """
    )
    await world.until("demand", lambda demand: demand["loads"] and demand["loads"][0]["processing"] == 9)
    await world.executes("hold 0")
    await world.workers("stays")
    assert (await world.retire(["leaves"], 1, wait=1))["retiring"] == ["leaves"]
    assert await world.run("answer = client.gather(queued)") == [0] * 8
    assert (await world.retire(["leaves"], 1, wait=0))["retiring"] == ["leaves"]
    world.let_go()
    await retired(world, ["leaves"], 1)
    await world.kill("leaves")
    assert await world.run("answer = held.result()") == 0
    assert len(world.executions) == 9


async def test_a_worker_that_has_just_registered_stays(dask):
    """The scheduler does not know yet that it runs; others retire as if it did."""
    await dask.workers("leaves", "stays")
    await dask.run(
        """
        def set_status(status, dask_scheduler):
            worker = dask_scheduler.workers[dask_scheduler.aliases["stays"]]
            worker.status = type(worker.status)[status]

        data = client.submit(make, record, 0, workers="leaves")
        wait(data)
        client.run_on_scheduler(set_status, "init")
        """
    )
    assert (await dask.retire(["leaves"], 1, wait=0))["gone"] == []
    await dask.run("client.run_on_scheduler(set_status, 'running')")
    assert await retired(dask, ["leaves"], 1) == ["leaves"]
    await dask.kill("leaves")
    assert await dask.run("answer = len(data.result())") == 1000
    assert dask.executions == ["make 0"]


@pytest.mark.parametrize("memory_manager", ["True", "False"])
async def test_one_of_the_copies_on_retiring_workers_is_saved(world, memory_manager):
    await world.start(DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__START=memory_manager)
    await world.workers(*SIX[:2])
    await world.run(
        """
        data = client.scatter(list(map(str, range(20))))
        client.replicate(data)
        """
    )
    await world.workers(*SIX[2:])
    gone = await retired(world, SIX[:2], 2)
    assert gone == ["pod-0", "pod-1"]
    await world.kill(*gone)
    assert await world.run("answer = client.gather(data)") == [str(number) for number in range(20)]


async def test_the_order_is_unknown_then_idle_then_least_data(dask):
    await dask.workers(*SIX)
    await dask.run(
        """
        sizes = {0: 5_000, 1: 1_000, 2: 3_000, 3: 10, 4: 10**6}
        data = [client.submit(make, record, n, size=sizes[n], workers=f"pod-{n}") for n in range(5)]
        wait(data)
        held = [client.submit(hold, record, n, until=go, workers=f"pod-{n}") for n in (3, 4)]
        """
    )
    await dask.executes("hold 3", "hold 4")
    pods = [*SIX, "pending"]
    order = ["pending", "pod-5", "pod-1", "pod-2", "pod-0", "pod-3"]
    chosen = []
    for count, pod in enumerate(order[:-1], start=1):
        answer = await dask.retire(pods, count)
        chosen.append(pod)
        assert answer == {"gone": sorted(chosen), "retiring": [], "stuck": {}}
    # What it has taken from the others is handed on, while it executes a task.
    async with asyncio.timeout(20):
        while (await dask.retire(pods, 6, wait=0.5))["retiring"] != ["pod-3"]:
            pass
    assert len((await dask.retire(pods, 2, wait=0))["gone"]) == 2


async def test_a_repeated_request_retires_the_same_workers(dask):
    await dask.workers(*SIX)
    await dask.run("data = client.map(make, [record] * 60, range(60)); wait(data)")
    answers = await asyncio.gather(*(dask.retire(SIX, 3) for _ in range(5)))
    assert len({tuple(answer["gone"]) for answer in answers}) == 1
    await dask.run("wait(client.map(make, [record] * 60, range(60, 120)))")
    assert (await dask.retire(SIX, 3))["gone"] == answers[0]["gone"]
    leaving = sorted(name for name, status in (await statuses(dask)).items() if status != "running")
    assert leaving == answers[0]["gone"]


async def test_other_workers_are_untouched(dask):
    await dask.workers(*SIX)
    await dask.run("data = client.map(make, [record] * 60, range(60)); wait(data)")
    await asyncio.gather(retired(dask, SIX[:2], 2), retired(dask, SIX[2:4], 2))
    status = await statuses(dask)
    assert [status[name] for name in SIX] == ["closing_gracefully"] * 4 + ["running"] * 2
    await dask.kill(*SIX[:4])
    assert await dask.run("answer = len(client.gather(data))") == 60
    assert len(dask.executions) == 60


async def test_a_worker_that_need_not_retire_gets_tasks_again(world):
    await world.start(preload=world.agent_with(LEASE=1.5))
    await world.workers("a", "b")
    await world.run("data = client.submit(make, record, 0, workers='a'); data.result()")
    assert (await world.retire(["a"], 1))["gone"] == ["a"]
    await world.run("task = client.submit(int, 7, workers='a')")
    await has_status(world, "a", "running")
    assert await world.run("answer = task.result()") == 7
    assert (await world.get("demand"))["loads"][0]["workers"] == 2
    assert (await world.retire(["a"], 1))["gone"] == ["a"]  # it can leave another time


async def test_a_task_that_does_not_finish_delays_retirement_for_a_limited_time(world):
    await world.start(preload=world.agent_with(FINISH=1))
    await world.workers("stays", "leaves")
    await world.run("held = client.submit(hold, record, 0, until=go, workers='leaves')")
    await world.executes("hold 0")
    assert (await world.retire(["leaves"], 1, wait=0.1))["retiring"] == ["leaves"]
    assert (await world.retire(["leaves"], 1))["gone"] == ["leaves"]


async def test_scaling_to_zero_gives_up_the_data(dask):
    await dask.workers("a", "b")
    await dask.run(
        """
        data = client.map(make, [record] * 10, range(10))
        wait(data)
        held = client.submit(hold, record, 0, until=go, workers="a")
        """
    )
    answer = await dask.retire(["a", "b"], 2, wait=0)
    assert answer == {"gone": ["a", "b"], "retiring": [], "stuck": {}}
    await dask.kill("a", "b")
    dask.let_go()
    await dask.workers("c")
    assert await dask.run("answer = len(client.gather(data))") == 10  # computed again


async def test_the_last_worker_keeps_everything_until_a_successor_has_registered(dask):
    await dask.workers("last")
    await dask.run(
        """
        data = client.map(make, [record] * 10, range(10))
        scattered = client.scatter(list(range(100)))
        wait(data)
        held = client.submit(hold, record, 0, until=go)
        """
    )
    await dask.executes("hold 0")
    for _ in range(2):
        answer = await dask.retire(["last"], 1, wait=0, successors={"count": 1, "seconds": 300})
        assert answer == {"gone": [], "retiring": [], "stuck": {}, "waiting": ["last"]}
    dask.let_go()
    # It goes on computing, since nobody else does.
    assert await dask.run("answer = held.result(), client.submit(total, record, 0, *data).result()") == [
        0,
        10_000,
    ]
    await dask.workers("successor")
    assert await retired(dask, ["last"], 1, successors={"count": 1, "seconds": 300}) == ["last"]
    await dask.kill("last")
    assert await dask.run("answer = client.gather(scattered)") == list(range(100))
    assert await dask.run("answer = len(client.gather(data))") == 10
    assert len(dask.executions) == 12


async def test_two_groups_that_leave_wait_for_the_third(dask):
    """Each request alone has the others' worker as one that stays, for as long as that does not retire."""
    await dask.workers("a", "b")
    await dask.run("data = client.map(make, [record] * 20, range(20)); wait(data)")
    expected = {"count": 1, "seconds": 300}
    gone = [*await retired(dask, ["a"], 1, successors=expected)]
    assert (await dask.retire(["b"], 1, wait=0, successors=expected))["waiting"] == ["b"]
    await dask.workers("c")
    gone += await retired(dask, ["b"], 1, successors=expected)
    await dask.kill(*gone)
    assert await dask.run("answer = len(client.gather(data))") == 20
    assert len(dask.executions) == 20


async def test_a_successor_that_does_not_come_is_waited_for_in_vain_for_a_limited_time(dask):
    await dask.workers("empty", "full")
    await dask.run("data = client.submit(make, record, 0, workers='full'); wait(data)")
    expected = {"count": 1, "seconds": 1}
    first = await dask.retire(["empty", "full"], 2, wait=0, successors=expected)
    assert first == {"gone": ["empty"], "retiring": [], "stuck": {}, "waiting": ["full"]}
    assert await retired(dask, ["empty", "full"], 2, successors=expected) == ["empty", "full"]


async def test_data_goes_to_a_successor_without_the_resources_of_its_task(dask):
    await dask.workers("gpu", resources={"GPU": 1})
    await dask.run(
        """
        data = client.submit(make, record, 0, resources={"GPU": 1})
        wait(data)
        """
    )
    await dask.workers("cpu")
    await retired(dask, ["gpu"], 1, successors={"count": 1, "seconds": 300})
    await dask.run("more = client.submit(make, record, 1, resources={'GPU': 1})")
    await dask.kill("gpu")
    assert await dask.run("answer = len(data.result())") == 1000
    await dask.until("demand", lambda demand: demand["waiting"] and demand["waiting"][0]["resources"])
    await dask.workers("another-gpu", resources={"GPU": 1})
    assert await dask.run("answer = len(more.result())") == 1000
    assert dask.executions == ["make 0", "make 1"]


async def test_a_worker_whose_data_fits_nowhere_is_stuck_and_gets_tasks_again(dask):
    await dask.workers("full", "leaves")
    await dask.run(
        """
        data = client.submit(make, record, 0, workers="leaves")
        data.result()
        full = [addr for addr, w in client.scheduler_info()["workers"].items() if w["name"] == "full"]
        """
    )
    await dask.run("client.run(pause, 'paused', workers=full)")
    await has_status(dask, "full", "paused")
    for _ in range(2):
        answer = await dask.retire(["leaves"], 1, wait=0.2)
        assert (answer["gone"], answer["retiring"]) == ([], [])
        assert "no other worker can take its data" in answer["stuck"]["leaves"]
        assert await dask.run("answer = client.submit(int, 7, workers='leaves', pure=False).result()") == 7
    await dask.run("client.run(pause, 'running', workers=full)")
    await has_status(dask, "full", "running")
    assert await retired(dask, ["leaves"], 1) == ["leaves"]


async def test_actors_stay(dask):
    await dask.workers("a", "b", "c")
    await dask.run("counter = client.submit(Counter, actor=True, workers='a').result()")
    await dask.run("data = client.submit(make, record, 0, size=100_000, workers='b'); wait(data)")
    assert await retired(dask, ["a", "b"], 1) == ["b"]
    answer = await dask.retire(["a", "b"], 2, wait=0.2)
    assert answer["gone"] == ["b"]
    assert "actors" in answer["stuck"]["a"]
    assert await dask.run("answer = counter.add().result()") == 1


async def test_pods_are_found_by_address_and_by_name(dask):
    await dask.workers("any-name", host="127.0.0.2")
    await dask.workers("b-0", "b-1", "bb-0", "stays", host="127.0.0.3")
    await dask.workers("127", host="127.0.0.4")
    by_address = {"x": "127.0.0.2", "y": "127.0.0.9"}
    assert (await dask.retire(by_address, 2))["gone"] == ["x", "y"]
    # This address is that of two pods: it says nothing, and names do.
    shared = {"b": "127.0.0.3", "c": "127.0.0.3", "127": ""}
    assert (await dask.retire(shared, 3))["gone"] == ["127", "b", "c"]
    status = await statuses(dask)
    leaving = {name for name, each in status.items() if each == "closing_gracefully"}
    assert leaving == {"any-name", "b-0", "b-1", 127 if 127 in status else "127"}


async def test_all_workers_of_a_pod_retire_together(dask):
    await dask.workers("two-0", "two-1", "stays-0", "stays-1")
    await dask.run("data = client.map(make, [record] * 40, range(40)); wait(data)")
    await dask.run("held = client.submit(hold, record, 0, until=go, workers='two-1')")
    await dask.executes("hold 0")
    assert (await dask.retire(["two"], 1, wait=1))["retiring"] == ["two"]
    dask.let_go()
    await retired(dask, ["two"], 1)
    await dask.kill("two-0", "two-1")
    assert await dask.run("answer = len(client.gather(data)), held.result()") == [40, 0]
    assert len(dask.executions) == 41


async def test_a_worker_that_registers_late_retires_too(dask):
    await dask.workers("stays", "pod-0")
    await dask.retire(["pod"], 1)
    await dask.workers("pod-1")
    await dask.run("data = client.submit(make, record, 0, workers='pod-1'); wait(data)")
    await retired(dask, ["pod"], 1)
    assert (await statuses(dask))["pod-1"] == "closing_gracefully"


async def test_known_are_those_that_have_registered_and_stay(dask):
    await dask.workers("a", "b-0", "b-1", "c")
    await dask.workers("any-name", host="127.0.0.2")
    await dask.retire(["c"], 1)
    pods = {"a": "", "b": "", "c": "", "x": "127.0.0.2", "y": "127.0.0.9"}
    status, answer = await dask.ask("POST", "known", json={"pods": pods})
    assert (status, sorted(answer["known"])) == (200, ["a", "b", "x"])
    assert (await dask.ask("POST", "known", json={"pods": ["a"]}))[0] == 400


async def test_left_are_those_that_had_registered_with_the_time_since(dask):
    await dask.workers("a", "b-0", "c")
    await dask.workers("any-name", host="127.0.0.2")
    pods = {"a": "", "b": "", "c": "", "x": "127.0.0.2", "y": "127.0.0.9"}
    assert (await dask.ask("POST", "left", json={"pods": pods}))[1] == {"left": {}}
    await dask.kill("b-0")
    await dask.run("client.retire_workers(names=['a', 'any-name'])")
    status, answer = await dask.ask("POST", "left", json={"pods": pods})
    assert (status, sorted(answer["left"])) == (200, ["a", "b", "x"])
    assert all(0 <= seconds < 60 for seconds in answer["left"].values())
    assert (await dask.ask("POST", "left", json={"pods": ["a"]}))[0] == 400


async def test_of_busy_workers_those_with_long_or_restricted_tasks_retire_last(world):
    await world.start(
        DASK_DISTRIBUTED__SCHEDULER__DEFAULT_TASK_DURATIONS=str({"short": "1 s", "long": "61 s"})
    )
    await world.workers("long", "restricted", "short")
    await world.run(
        """
        anywhere = {"until": go, "allow_other_workers": True}
        held = [
            client.submit(long, record, 0, workers="long", **anywhere),
            client.submit(short, record, 1, workers="restricted", until=go),
            client.submit(short, record, 2, workers="short", **anywhere),
        ]
        """
    )
    await world.executes(*(f"hold {number}" for number in range(3)))
    assert (await world.retire(["long", "restricted", "short"], 1, wait=0))["retiring"] == ["short"]
    world.let_go()
    assert await retired(world, ["short"], 1) == ["short"]
