"""Keys in the queue: merged, one at a time, in turn, with back-off and pace. Time is virtual."""

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest

from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.work_queue import WorkQueue

pytestmark = pytest.mark.looptime(start=1000)

MIN_INTERVAL = 1.0


class Key:
    """A key that can be seen to be forgotten."""


@pytest.fixture
async def queue():
    return WorkQueue(Backoff(first=4.0, longest=30.0), MIN_INTERVAL)


def now():
    return asyncio.get_running_loop().time() - 1000


async def turns(queue, number, *, lasting=0.0):
    """Take so many turns, and return each key with the time of its turn."""
    taken = []
    for _ in range(number):
        key = await queue.get()
        taken.append((key, now()))
        await asyncio.sleep(lasting)
        queue.done(key)
    return taken


async def empty(queue, seconds=1000.0):
    """Whether no turn comes for so long."""
    try:
        async with asyncio.timeout(seconds):
            await queue.get()
    except TimeoutError:
        return True
    return False


async def test_first_come_first_served(queue):
    for key in "bac":
        queue.put(key)
    assert await turns(queue, 3) == [("b", 0), ("a", 0), ("c", 0)]


async def test_a_key_that_waits_is_there_once(queue):
    for key in "abaaba":
        queue.put(key)
    assert len(queue.waiting()) == 2
    assert await turns(queue, 2) == [("a", 0), ("b", 0)]
    assert await empty(queue)


async def test_who_waits_is_woken(queue):
    asyncio.get_running_loop().call_later(7, queue.put, "a")
    assert await turns(queue, 1) == [("a", 7)]


async def test_a_key_is_never_handed_out_twice_at_a_time(queue):
    queue.put("a")
    assert await queue.get() == "a"
    queue.put("a")
    queue.put_after("a", 0.5)
    assert await empty(queue, 50)
    queue.done("a")
    assert await turns(queue, 1) == [("a", 51)]
    assert await empty(queue)


async def test_between_two_turns_of_a_key_there_is_a_gap(queue):
    queue.put("a")
    await turns(queue, 1)
    queue.put("a")
    queue.put("b")
    assert await turns(queue, 2) == [("b", 0), ("a", 1)]


async def test_a_key_that_is_put_all_the_time_has_a_turn_per_gap(queue):
    async def put():
        while True:
            queue.put("a")
            await asyncio.sleep(0.01)

    task = asyncio.create_task(put())
    times = [time for _, time in await turns(queue, 5, lasting=0.5)]
    task.cancel()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == pytest.approx([1.5] * 4, abs=0.02)


@pytest.mark.parametrize(
    "asked, at",
    [
        pytest.param([5.0], 5, id="later"),
        pytest.param([5.0, 3.0], 3, id="the earlier of two"),
        pytest.param([3.0, 5.0], 3, id="the earlier of two, asked first"),
        pytest.param([0.0], 0, id="at once"),
        pytest.param([-1.0], 0, id="in the past"),
    ],
)
async def test_put_after(queue, asked, at):
    for seconds in asked:
        queue.put_after("a", seconds)
    assert await turns(queue, 1) == [("a", at)]
    assert await empty(queue)


async def test_a_turn_now_replaces_the_one_later(queue):
    queue.put_after("a", 5)
    queue.put("a")
    queue.put_after("a", 7)
    assert await turns(queue, 1) == [("a", 0)]
    assert await empty(queue)


async def test_again_after_a_turn(queue):
    queue.put("a")
    queue.done(await queue.get(), again_after=5)
    assert await turns(queue, 1) == [("a", 5)]


async def test_what_was_put_meanwhile_comes_before_the_next_look(queue):
    queue.put("a")
    await queue.get()
    queue.put("a")
    queue.done("a", again_after=5)
    assert await turns(queue, 1) == [("a", 1)]


async def test_back_off_doubles_up_to_a_limit_and_ends_with_a_success(queue):
    queue.put("a")
    waits = []
    for _ in range(6):
        await queue.get()
        waits.append(queue.failed("a"))
    assert waits == [4, 8, 16, 30, 30, 30]
    assert await turns(queue, 1) == [("a", sum(waits))]
    queue.put("a")
    await queue.get()
    assert queue.failed("a") == 4


async def test_back_off_is_at_least_what_the_server_asked_for(queue):
    queue.put("a")
    await queue.get()
    assert queue.failed("a", at_least=100) == 100
    assert await turns(queue, 1) == [("a", 100)]


async def test_what_was_put_during_a_failing_turn_waits_too(queue):
    queue.put("a")
    await queue.get()
    queue.put("a")
    queue.failed("a")
    assert await turns(queue, 1) == [("a", 4)]


async def test_an_event_after_a_failure_is_not_held_up(queue):
    queue.put("a")
    await queue.get()
    queue.failed("a")
    await asyncio.sleep(2)
    queue.put("a")
    assert await turns(queue, 1) == [("a", 2)]


async def test_the_failure_of_one_key_does_not_hold_up_another(queue):
    queue.put("a")
    queue.put("b")
    await queue.get()
    queue.failed("a")
    assert await turns(queue, 2) == [("b", 0), ("a", 4)]


async def test_a_forgotten_key_starts_afresh(queue):
    queue.put("a")
    await queue.get()
    queue.failed("a")
    queue.forget("a")
    assert await empty(queue)
    queue.put("a")
    assert await turns(queue, 1) == [("a", 1000)]


async def test_longest_wait(queue):
    assert queue.longest_wait() == 0
    queue.put("a")
    await asyncio.sleep(5)
    queue.put("b")
    assert queue.longest_wait() == 5
    await queue.get()
    assert queue.longest_wait() == 0
    await asyncio.sleep(3)
    assert queue.longest_wait() == 3
    queue.done("a")
    await queue.get()
    assert queue.longest_wait() == 0
    queue.done("b", again_after=60)
    await asyncio.sleep(50)
    assert queue.longest_wait() == 0


async def test_nothing_is_remembered_of_keys_that_are_done(queue):
    keys = [Key() for _ in range(50)]
    remembered = weakref.WeakSet(keys)
    for key in keys:
        queue.put(key)
    await turns(queue, 50)
    await asyncio.sleep(2 * MIN_INTERVAL)
    del keys, key
    gc.collect()
    assert not remembered
