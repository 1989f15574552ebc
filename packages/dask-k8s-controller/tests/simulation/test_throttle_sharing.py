"""Who gets the slots of the throttle, with a saturated API server in virtual time."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.throttle import Priority, Throttle
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

pytestmark = pytest.mark.looptime


@dataclass
class Server:
    """An API server that processes some requests at a time; the others wait inside it."""

    parallel: int
    seconds: float
    answered: list[tuple[float, Key]] = field(default_factory=list)
    inside: int = 0
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.parallel)

    async def request(self, key: Key) -> None:
        self.inside += 1
        try:
            async with self._places:
                await asyncio.sleep(self.seconds)
        finally:
            self.inside -= 1
        self.answered.append((now(), key))


def now():
    return asyncio.get_running_loop().time()


class Load:
    """Clients that always have one more request."""

    def __init__(self, server, *, slots=32):
        self.server = server
        self.throttle = Throttle(slots, 1e6, adaptive=True)
        self.tasks = []

    def start(self, namespace="a", name="many", clients=40, priority=Priority.CREATE):
        key = Key(PODS, namespace, name)
        self.tasks += [asyncio.create_task(self._client(key, priority)) for _ in range(clients)]

    async def _client(self, key, priority):
        while True:
            async with self.throttle.slot(key, priority, "POST"):
                await self.server.request(key)

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def run(self, seconds):
        await asyncio.sleep(seconds)
        await self.stop()


async def test_requests_are_shared_fairly_by_namespace_and_key_while_the_limit_moves():
    load = Load(Server(8, 0.02))
    load.start("large", "one", clients=400)
    load.start("small", "one", clients=10)
    load.start("small", "two", clients=200)
    await load.run(4)
    shares = Counter(key for time, key in load.server.answered if time >= 1)
    large, one, two = (
        shares[Key(PODS, *at)] for at in (("large", "one"), ("small", "one"), ("small", "two"))
    )
    assert large == pytest.approx(one + two, rel=0.05)
    assert one == pytest.approx(two, rel=0.05)


async def test_nothing_starves_and_what_a_start_waits_for_comes_first():
    load = Load(Server(8, 0.02))
    for priority in Priority:
        load.start(f"ns-{priority.name}", clients=40, priority=priority)
    await load.run(4)
    shares = Counter(key.namespace for time, key in load.server.answered if time >= 1)
    total = shares.total()
    assert shares["ns-START"] / total >= 0.5
    for priority in (Priority.CHANGE, Priority.CREATE, Priority.STATUS):
        # The slots in reserve go to namespaces that have none, whatever they ask for.
        assert 0.05 <= shares[f"ns-{priority.name}"] / total <= 0.2


async def test_the_status_has_a_tenth_of_the_requests_while_others_wait():
    load = Load(Server(8, 0.02))
    load.start(name="pods", clients=40)
    load.start(name="status", clients=40, priority=Priority.STATUS)
    await load.run(4)
    shares = Counter(key.name for time, key in load.server.answered if time >= 1)
    assert shares["status"] / shares.total() == pytest.approx(0.1, abs=0.02)


async def test_a_newcomer_does_not_wait_behind_five_hundred_pods_of_another_cluster():
    """Four requests of a small cluster, one after another, as its children need each other."""
    server = Server(4, 0.01)
    load = Load(server)
    load.start(clients=500)
    await asyncio.sleep(3)
    key, took = Key(DASK_CLUSTERS, "newcomer", "small"), []
    for _ in range(10):
        start = now()
        for _ in range(4):
            async with load.throttle.slot(key, Priority.START, "POST"):
                await server.request(key)
        took.append(now() - start)
        await asyncio.sleep(0.3)
    await load.stop()
    # Alone it takes 40 ms. With 32 requests in flight it took 320 ms.
    assert sorted(took)[5] <= 0.12


async def test_slow_requests_of_one_namespace_do_not_hold_all_slots():
    """A webhook of a tenant takes ten seconds for each pod."""
    load = Load(Server(1000, 10.0))
    load.start("slow", clients=100)
    await asyncio.sleep(45)
    fast, waits = Server(8, 0.02), []
    key = Key(PODS, "fast", "other")
    for _ in range(20):
        start = now()
        async with load.throttle.slot(key, Priority.CREATE, "POST"):
            waits.append(now() - start)
            await fast.request(key)
    await load.stop()
    assert max(waits) == 0


async def test_no_more_requests_run_than_allowed():
    for slots in (1, 2, 5, 32):
        load = Load(Server(1000, 0.05), slots=slots)
        most = 0
        for namespace in "abcdefgh":
            load.start(namespace, clients=10)
        for _ in range(25):
            await asyncio.sleep(0.02)
            most = max(most, load.server.inside)
        await load.stop()
        assert slots * 0.7 <= most <= slots
