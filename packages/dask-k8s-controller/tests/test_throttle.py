"""Requests in turn by namespace and key, so many at a time and per second. Time is virtual."""

import asyncio
import gc
import weakref
from collections import Counter

import pytest

from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.throttle import Throttle
from dask_k8s_crds.resources import PODS

pytestmark = pytest.mark.looptime(start=1000)

KEY = Key(PODS, "ns", "w")


class Name(str):
    """A name that can be seen to be forgotten."""

    __slots__ = ("__weakref__",)


class Server:
    """Counts what runs, and remembers who started when."""

    def __init__(self, throttle, seconds=1.0):
        self.throttle = throttle
        self.seconds = seconds
        self.running = self.most = 0
        self.started = []

    async def request(self, name, namespace="ns"):
        async with self.throttle.slot(Key(PODS, namespace, name)):
            self.started.append((name, asyncio.get_running_loop().time() - 1000))
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await asyncio.sleep(self.seconds)
            finally:
                self.running -= 1

    def of(self, key):
        return [time for who, time in self.started if who == key]


async def test_so_many_at_a_time():
    server = Server(Throttle(slots=4, rate=1e6))
    await asyncio.gather(*(server.request("a") for _ in range(20)))
    assert server.most == 4
    assert server.of("a") == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4


async def test_a_key_with_thousands_of_requests_never_stands_before_one_with_one():
    server = Server(Throttle(slots=4, rate=1e6))
    many = [asyncio.create_task(server.request("many")) for _ in range(5000)]
    await asyncio.sleep(0.5)
    await server.request("one")
    assert server.of("one") == [1]
    await asyncio.gather(*many)
    assert len(server.of("many")) == 5000


async def test_keys_share_the_slots_evenly():
    server = Server(Throttle(slots=3, rate=1e6))
    tasks = [asyncio.create_task(server.request(key)) for key in "abc" for _ in range(100)]
    await asyncio.sleep(50.5)
    so_far = Counter(key for key, _ in server.started)
    # The first three went to who came first, when nobody else waited.
    assert max(so_far.values()) - min(so_far.values()) <= 3
    await asyncio.gather(*tasks)


async def test_namespaces_share_the_slots_evenly_however_many_keys_they_have():
    server = Server(Throttle(slots=1, rate=1e6))
    tasks = [asyncio.create_task(server.request(f"m{key}", "many")) for key in range(300) for _ in range(2)]
    await asyncio.sleep(0.5)
    tasks += [asyncio.create_task(server.request(f"f{key}", "few")) for key in range(2) for _ in range(5)]
    await asyncio.gather(*tasks)
    few = [time for name, time in server.started if name.startswith("f")]
    assert few == [2 * turn for turn in range(1, 11)]
    assert [name for name, _ in server.started if name.startswith("f")] == ["f0", "f1"] * 5


async def test_the_rate_holds_after_a_burst_of_one_second():
    server = Server(Throttle(slots=1000, rate=8.0), seconds=0)
    await asyncio.gather(*(server.request("a") for _ in range(24)))
    assert server.of("a") == [0] * 8 + [turn / 8 for turn in range(1, 17)]


async def test_what_was_not_used_does_not_add_up_to_a_larger_burst():
    server = Server(Throttle(slots=1000, rate=8.0), seconds=0)
    await server.request("a")
    await asyncio.sleep(99)
    await asyncio.gather(*(server.request("b") for _ in range(10)))
    assert server.of("b") == [99] * 8 + [99.125, 99.25]


async def test_a_pause_holds_up_all_keys_and_nothing_that_runs():
    throttle = Throttle(slots=2, rate=1e6)
    server = Server(throttle)
    tasks = [asyncio.create_task(server.request(key)) for key in "abcd"]
    await asyncio.sleep(0.5)
    throttle.pause(30)
    throttle.pause(3)
    await asyncio.gather(*tasks)
    assert [time for _, time in server.started] == [0, 0, 30.5, 30.5]


async def test_a_failing_request_frees_its_slot():
    throttle = Throttle(slots=1)
    for _ in range(3):
        with pytest.raises(ValueError):
            async with throttle.slot(KEY):
                raise ValueError
    await Server(throttle).request("a")


@pytest.mark.parametrize(
    "when", [0.0, 0.5, 1.0], ids=["before it waits", "while it waits", "as its turn comes"]
)
async def test_who_is_cancelled_leaves_no_trace(when):
    throttle = Throttle(slots=1, rate=1e6)
    server = Server(throttle)
    first = asyncio.create_task(server.request("first"))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(server.request("cancelled"))
    last = asyncio.create_task(server.request("last"))
    await asyncio.sleep(when)
    waiting.cancel()
    await asyncio.gather(first, last)
    assert waiting.cancelled() or await asyncio.wait_for(waiting, 5) is None
    await server.request("again")
    assert server.most == 1
    assert server.of("last")[0] <= 2


async def test_who_is_cancelled_in_the_moment_of_its_turn_passes_it_on():
    throttle = Throttle(slots=1, rate=1e6)
    server = Server(throttle, seconds=0)
    async with throttle.slot(KEY):
        waiting = asyncio.create_task(server.request("cancelled"))
        await asyncio.sleep(0)
    waiting.cancel()  # it has got the slot, but has not run yet
    await server.request("next")
    assert [key for key, _ in server.started] == ["next"]


async def test_nothing_is_remembered_of_keys_that_wait_no_more():
    throttle = Throttle(slots=2, rate=1e6)
    keys = [Key(PODS, "ns", Name(number)) for number in range(50)]
    remembered = weakref.WeakSet(key.name for key in keys)

    async def request(key):
        async with throttle.slot(key):
            await asyncio.sleep(1)

    await asyncio.gather(*map(request, keys))
    del keys
    gc.collect()
    assert not remembered
