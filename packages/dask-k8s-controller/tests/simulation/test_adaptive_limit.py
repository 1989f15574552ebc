"""The adaptive limit of concurrent requests, with simulated API servers in virtual time.

A server processes ``parallel`` requests at a time, each in ``seconds`` on average, and the others wait inside
it. It may refuse those above a number, become slower with each that waits, or change in the middle. The
client always has one more request. `test_throttle_sharing` tests who gets the slots.
"""

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from random import Random

import pytest

from dask_k8s_controller.runtime.adaptive_limit import AdaptiveLimit

MOST = 26
SETTLED = 5.0
"""From here on, in seconds, throughput and limit are measured."""
PAUSE = 1.0
"""The Retry-After of the server."""


@dataclass
class Server:
    """An API server with a saturation point."""

    parallel: int
    seconds: float
    spread: float = 0.3
    """The standard deviation of the time of a request, as a share of its mean."""
    refuses_above: int = 10**6
    refuses: float = 0.0
    """The share of requests that it refuses whatever the number."""
    slowdown: float = 0.0
    """By which share each request that is inside slows down the others."""
    change: tuple[float, int, float] | None = None
    """A time, and ``parallel`` and ``seconds`` from then on."""
    random: Random = field(default_factory=lambda: Random(1))

    def pass_time(self, now: float) -> None:
        if self.change and now >= self.change[0]:
            self.parallel, self.seconds = self.change[1:]

    def does_refuse(self, inside: int) -> bool:
        return inside >= self.refuses_above or self.random.random() < self.refuses

    def draw(self, inside: int) -> float:
        sigma = math.sqrt(math.log(1 + self.spread**2))
        spread = math.exp(self.random.gauss(-sigma * sigma / 2, sigma))
        return self.seconds * spread * (1 + self.slowdown * inside)


@dataclass
class Run:
    """What came of a simulation: when requests were answered, and the limits with their times."""

    answered: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0

    def throughput(self, since: float, until: float) -> float:
        return sum(since <= time < until for time in self.answered) / (until - since)

    def swing(self, since: float) -> float:
        """The factor by which the limit both rises and falls; an approach from one side is no oscillation."""
        rise = fall = 1.0
        found = [limit for time, limit in self.limits if time >= since]
        lowest = highest = found[0]
        for limit in found:
            lowest, highest = min(lowest, limit), max(highest, limit)
            rise, fall = max(rise, limit / lowest), max(fall, highest / limit)
        return min(rise, fall)


def simulate(server, until, kinds=lambda _: ("POST", 0.0), limit=None, start=0.0):
    """Run a client with the adaptive limit.

    ``kinds`` returns the kind of a request and how much longer than others it takes, whatever the load.
    """
    limit, run = limit or AdaptiveLimit(MOST), Run()
    now, paused, in_flight, busy, order = start, 0.0, 0, 0, count()
    events, queue = [], deque()

    def begin(request):
        seconds = server.draw(busy + len(queue)) + request[2]
        heapq.heappush(events, (now + seconds, next(order), request))

    while now < until:
        server.pass_time(now)
        while in_flight < limit.current and now >= paused:
            in_flight += 1
            kind, more = kinds(server.random)
            request = (limit.epoch, now, more, kind)
            if server.does_refuse(busy + len(queue)):
                heapq.heappush(events, (now + 0.002, next(order), None))
            elif busy < server.parallel:
                busy += 1
                begin(request)
            else:
                queue.append(request)
            run.limits.append((now, limit.current))
        if not events or (in_flight < limit.current and now < paused < events[0][0]):
            now = paused
            continue
        now, _, request = heapq.heappop(events)
        if request is None:
            run.refused += 1
            limit.refused(in_flight, now)
            paused = now + PAUSE
        else:
            busy -= 1
            epoch, sent, _, kind = request
            if in_flight >= limit.current:
                limit.add(kind, epoch, sent, now)
            run.answered.append(now)
            while queue and busy < server.parallel:
                busy += 1
                begin(queue.popleft())
        in_flight -= 1
    return run


SERVERS = [
    # parallel, seconds, spread, for how many seconds it runs
    (2, 0.005, 0.0, 15),
    (2, 0.005, 0.3, 15),
    (4, 0.005, 0.3, 15),
    (4, 0.02, 0.0, 20),
    (4, 0.02, 0.3, 20),
    (8, 0.02, 0.3, 20),
    (16, 0.05, 0.3, 20),
    (64, 0.05, 0.3, 20),
    (8, 0.2, 0.0, 40),
    (8, 0.2, 0.3, 40),
    (16, 0.2, 0.3, 40),
    (4, 1.0, 0.3, 400),
    (8, 2.0, 0.0, 200),
    (16, 2.0, 0.0, 200),
    (16, 2.0, 0.3, 200),
    (64, 2.0, 0.3, 60),
]


@pytest.mark.parametrize("parallel, seconds, spread, until", SERVERS)
def test_the_limit_settles_where_throughput_is_best(parallel, seconds, spread, until):
    run = simulate(Server(parallel, seconds, spread), until)
    best = min(parallel, MOST) / seconds
    assert run.throughput(SETTLED, until) >= 0.9 * best
    # A server that takes 2 s has answered twice by then, and the limit may still come down from its start.
    assert run.swing(max(SETTLED, 10 * seconds)) <= 2
    # In the end, few requests wait inside the server.
    late = [limit for time, limit in run.limits if time >= until * 2 / 3]
    assert sum(late) / len(late) <= max(1.6 * parallel, parallel + 3)


@pytest.mark.parametrize("above", [6, 12])
def test_refusals_for_load_cost_little(above):
    run = simulate(Server(16, 0.05, refuses_above=above), 45)
    assert run.throughput(SETTLED, 45) >= 0.9 * above / 0.05
    assert run.swing(SETTLED) <= 2
    assert run.refused < 45


def test_refusals_for_other_reasons_do_not_lower_the_limit_for_good():
    """Other clients may be the cause, and fewer requests of this one would not help."""
    run = simulate(Server(16, 0.05, refuses=0.01), 60)
    assert run.refused > 15
    late = [limit for time, limit in run.limits if time >= 30]
    # It was at 2, the least possible, when each refusal counted.
    assert sum(late) / len(late) >= 5


def test_a_server_that_begins_to_refuse_is_followed():
    server, limit = Server(16, 0.05), AdaptiveLimit(MOST)
    simulate(server, 10, limit=limit)
    server.refuses_above = 6
    run = simulate(server, 50, limit=limit, start=10)
    assert run.throughput(25, 50) >= 0.85 * 6 / 0.05
    assert max(each for time, each in run.limits if time >= 25) <= 8


def test_a_server_that_many_requests_slow_down_keeps_its_throughput():
    run = simulate(Server(8, 0.02, slowdown=0.02), 20)
    assert run.throughput(SETTLED, 20) >= 0.9 * 8 / (0.02 * (1 + 0.02 * 8))
    assert run.swing(SETTLED) <= 2


@pytest.mark.parametrize(
    "parallel, seconds",
    [
        pytest.param(16, 0.02, id="more parallel"),
        pytest.param(2, 0.02, id="less parallel"),
        pytest.param(8, 0.1, id="slower, for example by a webhook"),
        pytest.param(8, 0.005, id="faster"),
    ],
)
def test_the_limit_follows_a_server_that_changes(parallel, seconds):
    run = simulate(Server(8, 0.02, change=(8, parallel, seconds)), 20)
    assert run.throughput(8 + SETTLED, 20) >= 0.9 * parallel / seconds


def test_a_changing_mixture_of_requests_does_not_look_like_load():
    """Some kinds take longer than others; each is compared only with itself."""
    times = {"Pod": 0.0, "status": 0.01, "webhook": 0.2}

    def kinds(random):
        kind = random.choice(["Pod"] * 8 + ["status"] * 4 + ["webhook"])
        return kind, times[kind]

    run = simulate(Server(16, 0.02), 20, kinds=kinds)
    mean = 0.02 + (4 * 0.01 + 0.2) / 13
    assert run.throughput(SETTLED, 20) >= 0.85 * 16 / mean
    assert run.swing(SETTLED) <= 2


def test_what_was_learned_lasts_over_a_pause():
    limit = AdaptiveLimit(MOST)
    for start in (0.0, 100.0, 200.0):
        run = simulate(Server(4, 0.02), start + 2, limit=limit, start=start)
        if start:
            assert run.throughput(start, start + 2) >= 0.9 * 4 / 0.02
            assert max(each for _, each in run.limits) <= 10
