"""When a scheduler is idle, and for how long."""

import pytest


def idle(answer):
    return answer["idle_seconds"] is not None


async def test_idle_from_the_start_until_there_is_work(dask):
    assert await dask.get("idle") == {"idle_seconds": pytest.approx(5, abs=5), "clients": 0, "workers": 0}
    await dask.run("future = client.submit(hold, record, 0, until=go)")  # nobody is there to do it
    await dask.until("idle", lambda answer: not idle(answer))
    await dask.workers("worker")  # now it is executed
    assert (await dask.get("idle")) == {"idle_seconds": None, "clients": 1, "workers": 1}
    dask.let_go()
    await dask.run("future.result()")
    first = await dask.until("idle", idle)
    assert first["idle_seconds"] < 2
    later = await dask.until("idle", lambda answer: answer["idle_seconds"] > first["idle_seconds"])
    assert later["workers"] == 1  # data that is kept does not make it busy
    assert (await dask.get("demand"))["idle_seconds"] >= later["idle_seconds"]


async def test_short_work_between_two_questions_counts(dask):
    await dask.workers("worker")
    before = await dask.until("idle", idle)
    await dask.run("client.submit(int, 1).result()")
    after = await dask.until("idle", idle)
    assert after["idle_seconds"] < before["idle_seconds"] + 1


async def test_a_graph_that_is_being_submitted_is_no_idleness(dask):
    await dask.workers("worker")
    await dask.until("idle", idle)
    await dask.run("future = submit_slow_graph(client, go)")
    busy = await dask.until("idle", lambda answer: not idle(answer))
    assert busy["idle_seconds"] is None
    # Nothing of the graph is in the scheduler's state yet, and nothing happens for longer than a look takes.
    for _ in range(3):
        assert not idle(await dask.get("idle"))
    demand = await dask.get("demand")
    assert demand["waiting"] == []
    assert demand["idle_seconds"] is None
    dask.let_go()
    await dask.run("future.result()")
    await dask.until("idle", idle)


async def test_looking_does_not_close_the_scheduler(world):
    await world.start(DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT="1 hour")
    await world.until("idle", idle)
    before = await world.run(
        "answer = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.idle_since)"
    )
    await world.get("idle")
    after = await world.run(
        "answer = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.idle_since)"
    )
    assert before == after
