"""Clocks of machines differ: decisions count the same seconds whatever the controller's machine shows."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS, SECRETS

from .builders import cluster
from .simulation.agents import Agents
from .simulation.faults import Faults, ModelApi
from .simulation.model import Model, now

pytestmark = pytest.mark.looptime

SKEWS = {
    "an hour behind": -3600,
    "a minute behind": -60,
    "right": 0,
    "a minute ahead": 60,
    "an hour ahead": 3600,
}
CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
GRACE, STUCK, DRAIN = 30, 10, 20


class MachineClock(Clock):
    """A clock of a machine that is so many seconds ahead of the API server."""

    def __init__(self, skew: float) -> None:
        super().__init__()
        self.skew = skew

    def machine_time(self) -> datetime:
        return now() + timedelta(seconds=self.skew)

    def error(self) -> float:
        return (self.now() - now()).total_seconds()

    async def respond(self, *, late: float = 0.0, takes: float = 0.1) -> None:
        """A response of the API server, whose clock is so many seconds late."""
        sent = self.monotonic()
        await asyncio.sleep(takes)
        date = datetime.fromtimestamp(int((now() - timedelta(seconds=late)).timestamp()), UTC)
        self.observe(format_datetime(date, usegmt=True), sent)


# ---- the clock


@pytest.mark.parametrize("skew", SKEWS.values(), ids=SKEWS)
async def test_the_time_of_the_server_is_known_after_a_few_responses(skew):
    clock = MachineClock(skew)
    assert clock.error() == skew
    for _ in range(3):
        await clock.respond()
    assert abs(clock.error()) < 1.1
    await asyncio.sleep(3600)
    assert abs(clock.error()) < 1.1


async def test_a_machine_whose_clock_is_right_is_believed_to_the_millisecond():
    clock = MachineClock(0)
    for takes in (0.1, 0.9, 5.0, 0.3, 0.2, 0.7):
        await clock.respond(takes=takes)
        assert clock.error() == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("first", [True, False], ids=["at the start", "later"])
@pytest.mark.parametrize("late", [-86400, -60, 60, 86400])
async def test_one_wrong_response_changes_nothing(first, late):
    clock = MachineClock(0)
    if not first:
        for _ in range(5):
            await clock.respond()
    await clock.respond(late=late)
    assert abs(clock.error()) < 1.1
    await clock.respond()
    assert abs(clock.error()) < 1.1


async def test_a_server_whose_clock_is_set_is_followed():
    clock = MachineClock(0)
    for _ in range(5):
        await clock.respond()
    for _ in range(3):
        await clock.respond(late=600)
    assert clock.error() == pytest.approx(-600, abs=1.1)


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 99 Foo 1",
    ],
)
async def test_a_header_that_is_no_usable_time_is_ignored(date):
    clock = MachineClock(60)
    for _ in range(5):
        clock.observe(date, clock.monotonic())
    assert abs(clock.error() - 60) < 2e-3 or date is not None


# ---- decisions of a controller


class Median(Random):
    """What takes a random time takes the mean one, so that histories can be compared."""

    def uniform(self, a, b):
        return (a + b) / 2


class LosesNodes(Model):
    """Pods on a lost node stay as they are, whatever is deleted."""

    lost = False

    def _end(self, key, uid):
        if not self.lost:
            super()._end(key, uid)


class Stand:
    """A model, and a controller at a time, each on a machine with a clock of its own."""

    def __init__(self):
        self.changed = asyncio.Event()
        self.model = LosesNodes(Median(1), self.on_change)
        self.api = ModelApi(self.model, Faults(latency=0.02, lag=0.02))
        self.agents = Agents(Median(1), slow=1e9)
        self.running = None
        self.history = []

    def on_change(self, _):
        self.changed.set()
        self.changed = asyncio.Event()

    def start(self, skew):
        self.api.clock = MachineClock(skew)
        settings = Settings(namespaces=("ns",))
        key = SigningKey(self.api, Key(SECRETS, "home", names.AGENT_KEY))
        operator = Operator(
            self.api,
            [plugin.PLUGIN],
            settings,
            key,
            self.agents,
            clock=self.api.clock,
            random=Median(1),
        )
        self.running = asyncio.create_task(operator.run())

    async def stop(self):
        self.running.cancel()
        await asyncio.wait([self.running])

    def pods(self, component):
        return [each for each in self.model.all(PODS) if component in each["metadata"]["name"]]

    def key(self, component):
        (pod,) = self.pods(component)
        return Key(PODS, "ns", pod["metadata"]["name"])

    async def until(self, what, holds):
        """Wait, and keep how long it took."""
        start = asyncio.get_running_loop().time()
        async with asyncio.timeout(10_000):
            while not holds():
                await self.changed.wait()
        self.history.append((what, asyncio.get_running_loop().time() - start))

    async def replaced(self, what, component):
        """Wait until another pod, and no more than that, is in the place of this one."""
        old = {each["metadata"]["uid"] for each in self.pods(component)}
        await self.until(what, lambda: {each["metadata"]["uid"] for each in self.pods(component)} - old)

    async def ready(self):
        await self.until(
            "ready",
            lambda: (
                len(self.model.all(PODS)) == 2
                and all(each["status"]["phase"] == "Running" for each in self.model.all(PODS))
            ),
        )
        await asyncio.sleep(1)


async def history(first, second):
    """What happens when things fail, and a second controller goes on in the middle of each wait."""
    stand = Stand()
    body = cluster(replicas=1)
    body["spec"]["updateStrategy"] = {"drainTimeoutSeconds": DRAIN}
    stand.start(first)
    stand.model.create(CLUSTER, body)
    await stand.ready()

    async def restart():
        await asyncio.sleep(3)
        await stand.stop()
        stand.start(second)
        await asyncio.sleep(1)
        await stand.stop()
        stand.start(first)

    for component in ("scheduler", "worker"):
        stand.model.fail(stand.key(component))
        restarting = asyncio.create_task(restart())
        await stand.replaced(f"the {component} has ended", component)
        await restarting
        await stand.ready()

    change = {"spec": {"worker": {"spec": {"priority": 1}}}}
    stand.model.patch(CLUSTER, change)
    restarting = asyncio.create_task(restart())
    await stand.replaced("the worker is outdated and does not finish", "worker")
    await restarting
    await stand.ready()

    stand.model.lost = True
    stand.model.delete(stand.key("scheduler"))
    restarting = asyncio.create_task(restart())
    await stand.replaced("the node of the scheduler is lost", "scheduler")
    await restarting
    await stand.stop()
    return dict(stand.history)


REFERENCE = {}
"""The waits of machines whose clocks are right."""
PAIRS = [
    *(pytest.param(skew, skew, id=name) for name, skew in SKEWS.items()),
    pytest.param(-3600, 3600, id="an hour behind, then an hour ahead"),
    pytest.param(60, -60, id="a minute ahead, then a minute behind"),
]


@pytest.mark.parametrize("first, second", PAIRS)
async def test_waits_last_as_long_on_any_machine(first, second):
    waits = await history(first, second)
    REFERENCE.update(REFERENCE or await history(0, 0))
    assert waits == pytest.approx(REFERENCE, abs=2.5)
    assert waits["the node of the scheduler is lost"] == pytest.approx(GRACE + STUCK, abs=2.5)
    assert waits["the scheduler has ended"] < 20
