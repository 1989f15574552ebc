"""Whole days of load on a simulated cluster, and what holds at every moment of them."""

import math
import random

import pytest

from dask_k8s_autoscaler.model import Bounds, ScalingRules, Settings

from .simulation import GroupSpec, Simulation, Task

HOUR = 3600.0
DAY = 24 * HOUR
GIB = 2**30
GPU = {"GPU": 1.0}


def tasks(count, seconds, **more):
    return [Task(seconds, **more) for _ in range(count)]


def bursts(simulation):
    """Now and then many short tasks at once."""
    chance = random.Random(1)
    for hour in range(22):
        simulation.submit(
            hour * HOUR + chance.uniform(0, 3000),
            tasks(chance.choice([20, 100, 300]), chance.choice([1, 4, 20])),
        )


def sawtooth(simulation):
    """Work comes and goes faster than the window of scaleDown."""
    for minute in range(60, 180):
        simulation.submit(minute * 60, tasks(40, 5.0))


def office_hours(simulation):
    """A slow ramp up to noon, and down again."""
    for minute in range(6 * 60, 18 * 60, 5):
        height = math.sin((minute - 6 * 60) / (12 * 60) * math.pi)
        simulation.submit(minute * 60, tasks(int(60 * height), 8.0))


def long_tasks(simulation):
    """A few tasks that last for hours: nobody knows how long before the first one ends."""
    simulation.submit(HOUR, tasks(7, 2 * HOUR, kind="long"))
    simulation.submit(6 * HOUR, tasks(11, 3 * HOUR, kind="long"))


def trickle(simulation):
    """One short task after the other."""
    for place in range(2000):
        simulation.submit(HOUR + place * 20.0, tasks(1, 2.0))


def several_at_once(simulation):
    bursts(simulation)
    office_hours(simulation)
    long_tasks(simulation)


class Invariants:
    """What holds after every look."""

    def __init__(self, settings):
        self.settings = settings
        self.checked = 0
        self.raised = {}
        self.lowered = {}

    def __call__(self, simulation):
        for name, spec in simulation.specs.items():
            size = simulation.replicas[name]
            if spec.bounds is None:
                assert size == spec.replicas, f"{name} is not ours to scale"
            else:
                assert spec.bounds.clamp(size) == size, f"{name} left its bounds"
        for now, change in simulation.changes[self.checked :]:
            self.check_change(simulation, now, change)
        self.checked = len(simulation.changes)

    def check_change(self, simulation, now, change):
        """No step is too large; none goes that came within the window, none comes back without new work."""
        up, down, window = self.settings.up, self.settings.down, self.settings.down.window
        if change.after > change.before:
            most = up.max_change(change.before)
            assert change.after - change.before <= most
            if now - self.lowered.get(change.group, -math.inf) < window:
                assert simulation.last_arrival > self.lowered[change.group], f"{change} came back after {now}"
            self.raised[change.group] = now
        else:
            most = down.max_change(change.before)
            assert change.before - change.after <= most
            assert now - self.raised.get(change.group, -math.inf) >= window, f"{change} within the window"
            assert now - self.lowered.get(change.group, -math.inf) >= window, f"{change} too soon"
            self.lowered[change.group] = now


def live(load, specs, settings=None, *, seconds=DAY):
    simulation = Simulation(specs, settings or Settings(interval=10.0))
    load(simulation)
    simulation.run(seconds, Invariants(simulation.settings))
    return simulation


LOADS = [bursts, sawtooth, office_hours, long_tasks, trickle, several_at_once]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.__name__)
def test_a_day(load):
    simulation = live(load, {"default": GroupSpec()})
    assert simulation.done > 0
    assert not simulation.waiting
    assert simulation.replicas["default"] == 0, "it is calm again"
    assert simulation.killed == 0
    assert 0 < max(simulation.sizes["default"]) <= 20


@pytest.mark.parametrize("start", [0.0, 45.0, 240.0])
def test_pods_that_take_long_to_start_are_not_asked_for_twice(start):
    simulation = Simulation({"default": GroupSpec(start=start, bounds=Bounds(0))})
    simulation.submit(60, tasks(100, 10.0, kind="known"))
    simulation.seen["known"] = 10.0
    simulation.run(HOUR, Invariants(simulation.settings))
    # Nobody knows before that pods have two threads each.
    assert max(simulation.sizes["default"]) == 100
    assert simulation.done == 100
    assert simulation.replicas["default"] == 0


def test_a_sawtooth_quicker_than_the_window_removes_nobody():
    simulation = Simulation(
        {"default": GroupSpec(start=2.0)}, Settings(interval=5.0, down=ScalingRules(120.0, max_percent=25))
    )
    sawtooth(simulation)
    simulation.run(180 * 60, Invariants(simulation.settings))
    after_the_first = [change for now, change in simulation.changes if now > simulation.start + 65 * 60]
    assert not after_the_first


def test_it_follows_a_ramp():
    simulation = live(office_hours, {"default": GroupSpec()})
    noon, evening = len(simulation.sizes["default"]) // 2, len(simulation.sizes["default"]) * 3 // 4
    by_hour = [max(simulation.sizes["default"][at : at + 60]) for at in range(0, noon, 360)]
    assert by_hour == sorted(by_hour)
    assert max(simulation.sizes["default"][noon : noon + 60]) > max(
        simulation.sizes["default"][evening : evening + 60]
    )


def test_at_the_minimum_when_calm():
    simulation = live(bursts, {"default": GroupSpec(bounds=Bounds(3, 10), replicas=5)})
    assert simulation.replicas["default"] == 3
    assert min(simulation.sizes["default"]) == 3
    assert max(simulation.sizes["default"]) == 10
    assert not simulation.waiting


def test_long_tasks_get_a_worker_each_and_keep_it():
    """How long the first will last is known to nobody; when they have run for long they show it."""
    simulation = Simulation({"default": GroupSpec(threads=1)}, Settings(interval=10.0))
    simulation.seen["long"] = 2 * HOUR
    long_tasks(simulation)
    simulation.run(DAY, Invariants(simulation.settings))
    assert max(simulation.sizes["default"]) == 11
    assert simulation.killed == 0
    assert simulation.done == 18


def test_to_nothing_and_back():
    simulation = Simulation({"default": GroupSpec()})
    for hour in range(5):
        simulation.submit(hour * HOUR + 60, tasks(30, 5.0))
    for hour in range(5):
        simulation.run(HOUR / 2 if hour == 0 else HOUR, Invariants(simulation.settings))
        assert simulation.done == 30 * (hour + 1)
        assert simulation.replicas["default"] == 0


def test_steps_up_are_kept():
    settings = Settings(interval=5.0, up=ScalingRules(0.0, max_step=3, max_percent=50))
    simulation = Simulation({"default": GroupSpec(bounds=Bounds(0, 30))}, settings)
    simulation.submit(60, tasks(600, 10.0))
    simulation.seen["task"] = 10.0
    simulation.run(HOUR, Invariants(settings))
    grown = [change.after for _, change in simulation.changes if change.after > change.before]
    assert grown[:8] == [1, 2, 3, 4, 6, 9, 12, 15]
    assert simulation.done == 600
    assert simulation.replicas["default"] == 0


def test_work_for_a_moment_makes_no_worker():
    settings = Settings(interval=5.0, up=ScalingRules(30.0))
    simulation = Simulation({"default": GroupSpec(bounds=Bounds(1, 30), threads=4)}, settings)
    for minute in range(5, 60):
        simulation.submit(minute * 60, tasks(16, 1.0))
    simulation.run(HOUR, Invariants(settings))
    assert max(simulation.sizes["default"]) == 1
    assert simulation.done == 16 * 55


@pytest.mark.parametrize("own", [0, GIB // 2, 3 * GIB], ids=["light", "usual", "fat"])
def test_there_is_memory_for_the_data(own):
    """100 GiB of results: workers with 4 GiB each hold them until the client lets go of them."""
    simulation = Simulation({"default": GroupSpec(limit=4 * GIB, own=own, bounds=Bounds(0))})
    for minute in range(10, 30):
        simulation.submit(minute * 60, tasks(5, 2.0, data=GIB))
    simulation.release(1.5 * HOUR)
    simulation.run(HOUR, Invariants(simulation.settings))
    assert sum(pod.data for pod in simulation.pods["default"]) == 100 * GIB, "nothing is lost"
    free = 0.6 * 4 - min(own / GIB, 0.3 * 4)
    # The last results come when there is no more work to make workers for.
    assert 90 / free <= simulation.replicas["default"] <= 100 / free + 1
    simulation.run(2 * HOUR, Invariants(simulation.settings))
    assert simulation.replicas["default"] == 0
    assert simulation.lost == 0


def two_kinds(*, plain=None, gpu=None):
    return {
        "default": GroupSpec(bounds=plain or Bounds(0, 10)),
        "gpu": GroupSpec(offers=GPU, bounds=gpu or Bounds(0, 4), threads=4, start=300.0),
    }


def test_tasks_that_ask_for_a_gpu_wake_the_group_that_has_them():
    simulation = Simulation(two_kinds())
    simulation.submit(HOUR, tasks(6, 600.0, asks=GPU, kind="train"))
    simulation.run(6 * HOUR, Invariants(simulation.settings))
    assert max(simulation.sizes["gpu"]) == 4, "one GPU does one task at a time"
    assert max(simulation.sizes["default"]) == 0
    assert simulation.done == 6
    assert simulation.replicas["gpu"] == 0
    assert simulation.killed == 0


def test_plain_tasks_wake_no_gpu():
    simulation = live(bursts, two_kinds(plain=Bounds(0)))
    assert max(simulation.sizes["default"]) > 10
    assert max(simulation.sizes["gpu"]) == 0


def test_plain_tasks_make_no_more_gpus_where_there_are_some():
    """The scheduler gives plain tasks to workers with a GPU as well."""
    simulation = Simulation(two_kinds(plain=Bounds(0), gpu=Bounds(1, 8)), Settings(interval=5.0))
    for minute in range(60):
        simulation.submit(minute * 60 + HOUR, tasks(200, 3.0))
    simulation.run(4 * HOUR, Invariants(simulation.settings))
    assert max(simulation.sizes["default"]) > 5
    assert max(simulation.sizes["gpu"]) <= 2
    assert simulation.done == 60 * 200


def test_both_kinds_of_work_at_once():
    simulation = Simulation(two_kinds(), Settings(interval=10.0))
    bursts(simulation)
    for hour in (3, 9, 15):
        simulation.submit(hour * HOUR, tasks(5, 900.0, asks=GPU, kind="train"))
    simulation.run(DAY, Invariants(simulation.settings))
    assert not simulation.waiting
    assert simulation.replicas == {"default": 0, "gpu": 0}


def test_the_next_group_by_priority_takes_what_the_first_cannot():
    specs = {
        "cheap": GroupSpec(bounds=Bounds(0, 3), priority=0),
        "dear": GroupSpec(bounds=Bounds(0, 10), priority=5),
        "others": GroupSpec(bounds=None, replicas=2),
    }
    simulation = Simulation(specs)
    simulation.seen["task"] = 10.0
    simulation.submit(HOUR, tasks(4, 10.0))
    simulation.submit(2 * HOUR, tasks(8, 10.0))
    simulation.submit(3 * HOUR, tasks(100, 10.0))
    peaks = []
    for _ in range(3):
        simulation.sizes = {name: [] for name in specs}
        simulation.run(1.5 * HOUR if not peaks else HOUR, Invariants(simulation.settings))
        peaks.append({name: max(sizes) for name, sizes in simulation.sizes.items()})
    assert peaks == [
        {"cheap": 0, "dear": 0, "others": 2},
        {"cheap": 2, "dear": 0, "others": 2},
        {"cheap": 3, "dear": 10, "others": 2},
    ]
    assert simulation.replicas == {"cheap": 0, "dear": 0, "others": 2}


@pytest.mark.parametrize("seed", range(8))
def test_any_day(seed):
    """Whatever the load, the settings and the groups: all that must hold does, and all work is done."""
    chance = random.Random(seed)
    specs = {
        "default": GroupSpec(
            threads=chance.choice([1, 2, 8]),
            start=chance.choice([1.0, 30.0, 200.0]),
            bounds=Bounds(chance.choice([0, 1, 2]), chance.choice([4, 20, None])),
        ),
        "more": GroupSpec(
            start=chance.choice([1.0, 90.0]), bounds=Bounds(0, 5), priority=chance.choice([-1, 0, 1])
        ),
        "gpu": GroupSpec(offers=GPU, start=chance.choice([5.0, 300.0]), bounds=Bounds(0, 3)),
    }
    settings = Settings(
        interval=chance.choice([10.0, 15.0]),
        target=chance.choice([None, 1.0, 60.0]),
        up=ScalingRules(chance.choice([0.0, 0.0, 30.0]), max_step=chance.choice([None, 2])),
        down=ScalingRules(chance.choice([0.0, 15.0, 120.0]), max_percent=chance.choice([10, 25, 100])),
        idle=chance.choice([0.0, 60.0]),
    )
    simulation = Simulation(specs, settings)
    submitted = 0
    for _ in range(chance.randint(5, 60)):
        count, seconds = chance.choice([1, 10, 100]), chance.choice([0.1, 5.0, 120.0])
        asks = chance.choice([{}, {}, GPU])
        simulation.submit(chance.uniform(0, 10 * HOUR), tasks(count, seconds, asks=asks, kind=str(seconds)))
        submitted += count
    simulation.run(15 * HOUR, Invariants(settings))
    assert simulation.done == submitted
    assert simulation.replicas == {name: spec.bounds.minimum for name, spec in specs.items()}
    assert simulation.killed == 0
