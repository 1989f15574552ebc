"""Keys in the queue: merged, one at a time, in turn by namespace, with back-off and pace. Time is virtual."""

import asyncio
import gc
import weakref
from itertools import pairwise

import pytest

from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_crds.resources import PODS

pytestmark = pytest.mark.looptime(start=1000)

MIN_INTERVAL = 1.0


A, B, C = (Key(PODS, "ns", name) for name in "abc")


class Name(str):
    """A name that can be seen to be forgotten."""

    __slots__ = ("__weakref__",)


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
    for key in (B, A, C):
        queue.put(key)
    assert await turns(queue, 3) == [(B, 0), (A, 0), (C, 0)]


async def test_namespaces_take_turns(queue):
    """A namespace with a thousand keys does not delay the keys of another one."""
    many = [Key(PODS, "many", f"w{number}") for number in range(1000)]
    for key in (*many, A, B, Key(PODS, "other", "w")):
        queue.put(key)
    taken = [key for key, _ in await turns(queue, 1003)]
    assert taken[:6] == [many[0], A, Key(PODS, "other", "w"), many[1], B, many[2]]
    assert [key for key in taken if key.namespace == "many"] == many


async def test_a_key_that_waits_is_there_once(queue):
    for key in (A, B, A, A, B, A):
        queue.put(key)
    assert len(queue.waiting()) == 2
    assert await turns(queue, 2) == [(A, 0), (B, 0)]
    assert await empty(queue)


async def test_who_waits_is_woken(queue):
    asyncio.get_running_loop().call_later(7, queue.put, A)
    assert await turns(queue, 1) == [(A, 7)]


async def test_a_key_is_never_handed_out_twice_at_a_time(queue):
    queue.put(A)
    assert await queue.get() == A
    queue.put(A)
    queue.put_after(A, 0.5)
    assert await empty(queue, 50)
    queue.done(A)
    assert await turns(queue, 1) == [(A, 51)]
    assert await empty(queue)


async def test_between_two_turns_of_a_key_there_is_a_gap(queue):
    queue.put(A)
    await turns(queue, 1)
    queue.put(A)
    queue.put(B)
    assert await turns(queue, 2) == [(B, 0), (A, 1)]


async def test_a_key_that_is_put_all_the_time_has_a_turn_per_gap(queue):
    async def put():
        while True:
            queue.put(A)
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
        queue.put_after(A, seconds)
    assert await turns(queue, 1) == [(A, at)]
    assert await empty(queue)


async def test_a_turn_now_replaces_the_one_later(queue):
    queue.put_after(A, 5)
    queue.put(A)
    queue.put_after(A, 7)
    assert await turns(queue, 1) == [(A, 0)]
    assert await empty(queue)


async def test_again_after_a_turn(queue):
    queue.put(A)
    queue.done(await queue.get(), again_after=5)
    assert await turns(queue, 1) == [(A, 5)]


async def test_again_at_once_is_after_the_gap(queue):
    queue.put(A)
    queue.done(await queue.get(), again_after=1e-9)
    assert await turns(queue, 1) == [(A, 1)]


async def test_what_was_put_meanwhile_comes_before_the_next_look(queue):
    queue.put(A)
    await queue.get()
    queue.put(A)
    queue.done(A, again_after=5)
    assert await turns(queue, 1) == [(A, 1)]


async def test_back_off_doubles_up_to_a_limit_and_ends_with_a_success(queue):
    queue.put(A)
    waits = []
    for _ in range(6):
        await queue.get()
        waits.append(queue.failed(A))
    assert waits == [4, 8, 16, 30, 30, 30]
    assert await turns(queue, 1) == [(A, sum(waits))]
    queue.put(A)
    await queue.get()
    assert queue.failed(A) == 4


async def test_back_off_is_at_least_what_the_server_asked_for(queue):
    queue.put(A)
    await queue.get()
    assert queue.failed(A, at_least=100) == 100
    assert await turns(queue, 1) == [(A, 100)]


async def test_what_was_put_during_a_failing_turn_waits_too(queue):
    queue.put(A)
    await queue.get()
    queue.put(A)
    queue.failed(A)
    assert await turns(queue, 1) == [(A, 4)]


async def test_an_event_after_a_failure_is_not_held_up(queue):
    queue.put(A)
    await queue.get()
    queue.failed(A)
    await asyncio.sleep(2)
    queue.put(A)
    assert await turns(queue, 1) == [(A, 2)]


async def test_the_failure_of_one_key_does_not_hold_up_another(queue):
    queue.put(A)
    queue.put(B)
    await queue.get()
    queue.failed(A)
    assert await turns(queue, 2) == [(B, 0), (A, 4)]


async def test_a_forgotten_key_starts_afresh(queue):
    queue.put(A)
    await queue.get()
    queue.failed(A)
    queue.forget(A)
    assert await empty(queue)
    queue.put(A)
    assert await turns(queue, 1) == [(A, 1000)]


async def test_longest_wait(queue):
    assert queue.longest_wait() == 0
    queue.put(A)
    await asyncio.sleep(5)
    queue.put(B)
    assert queue.longest_wait() == 5
    await queue.get()
    assert queue.longest_wait() == 0
    await asyncio.sleep(3)
    assert queue.longest_wait() == 3
    queue.done(A)
    await queue.get()
    assert queue.longest_wait() == 0
    queue.done(B, again_after=60)
    await asyncio.sleep(50)
    assert queue.longest_wait() == 0


async def test_nothing_is_remembered_of_keys_that_are_done(queue):
    keys = [Key(PODS, "ns", Name(number)) for number in range(50)]
    remembered = weakref.WeakSet(key.name for key in keys)
    for key in keys:
        queue.put(key)
    await turns(queue, 50)
    await asyncio.sleep(2 * MIN_INTERVAL)
    del keys, key
    gc.collect()
    assert not remembered
