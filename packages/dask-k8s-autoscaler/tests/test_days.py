"""Whole days of load on a simulated cluster, and what holds at every moment of them."""

import math
import random

import pytest

from dask_k8s_autoscaler.values import Bounds, Pace, Rules

from .dask import Dask, Sort, Task

HOUR = 3600.0
DAY = 24 * HOUR
GIB = 2**30
GPU = {"GPU": 1.0}


def tasks(count, seconds, **more):
    return [Task(seconds, **more) for _ in range(count)]


def bursts(dask):
    """Now and then many short tasks at once."""
    chance = random.Random(1)
    for hour in range(22):
        dask.submit(
            hour * HOUR + chance.uniform(0, 3000),
            tasks(chance.choice([20, 100, 300]), chance.choice([1, 4, 20])),
        )


def sawtooth(dask):
    """Work comes and goes faster than the window of scaleDown."""
    for minute in range(60, 180):
        dask.submit(minute * 60, tasks(40, 5.0))


def office_hours(dask):
    """A slow ramp up to noon, and down again."""
    for minute in range(6 * 60, 18 * 60, 5):
        height = math.sin((minute - 6 * 60) / (12 * 60) * math.pi)
        dask.submit(minute * 60, tasks(int(60 * height), 8.0))


def long_tasks(dask):
    """A few tasks that last for hours: nobody knows how long before the first one ends."""
    dask.submit(HOUR, tasks(7, 2 * HOUR, kind="long"))
    dask.submit(6 * HOUR, tasks(11, 3 * HOUR, kind="long"))


def trickle(dask):
    """One short task after the other."""
    for place in range(2000):
        dask.submit(HOUR + place * 20.0, tasks(1, 2.0))


def several_at_once(dask):
    bursts(dask)
    office_hours(dask)
    long_tasks(dask)


class Watch:
    """What holds after every look."""

    def __init__(self, rules):
        self.rules = rules
        self.told = 0
        self.raised = {}
        self.lowered = {}

    def __call__(self, dask):
        for name, sort in dask.sorts.items():
            size = dask.replicas[name]
            if sort.bounds is None:
                assert size == sort.replicas, f"{name} is not ours to scale"
            else:
                assert sort.bounds.clamp(size) == size, f"{name} left its bounds"
        for now, change in dask.changes[self.told :]:
            self.paces(dask, now, change)
        self.told = len(dask.changes)

    def paces(self, dask, now, change):
        """No step is too large; none goes that came within the window, none comes back without new work."""
        up, down, window = self.rules.up, self.rules.down, self.rules.down.window
        if change.after > change.before:
            most = up.most(change.before)
            assert most is None or change.after - change.before <= most
            if now - self.lowered.get(change.group, -math.inf) < window:
                assert dask.last_arrival > self.lowered[change.group], f"{change} came back after {now}"
            self.raised[change.group] = now
        else:
            most = down.most(change.before)
            assert most is None or change.before - change.after <= most
            assert now - self.raised.get(change.group, -math.inf) >= window, f"{change} within the window"
            assert now - self.lowered.get(change.group, -math.inf) >= window, f"{change} too soon"
            self.lowered[change.group] = now


def live(load, sorts, rules=None, *, seconds=DAY):
    dask = Dask(sorts, rules or Rules(interval=10.0))
    load(dask)
    dask.run(seconds, Watch(dask.rules))
    return dask


LOADS = [bursts, sawtooth, office_hours, long_tasks, trickle, several_at_once]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.__name__)
def test_a_day(load):
    dask = live(load, {"default": Sort()})
    assert dask.done > 0
    assert not dask.waiting
    assert dask.replicas["default"] == 0, "it is calm again"
    assert dask.killed_at_work == 0
    assert 0 < max(dask.sizes["default"]) <= 20


@pytest.mark.parametrize("start", [0.0, 45.0, 240.0])
def test_pods_that_take_long_to_start_are_not_asked_for_twice(start):
    dask = Dask({"default": Sort(start=start, bounds=Bounds(0))})
    dask.submit(60, tasks(100, 10.0, kind="known"))
    dask.seen["known"] = 10.0
    dask.run(HOUR, Watch(dask.rules))
    # Nobody knows before that pods have two threads each.
    assert max(dask.sizes["default"]) == 100
    assert dask.done == 100
    assert dask.replicas["default"] == 0


def test_a_sawtooth_quicker_than_the_window_removes_nobody():
    dask = Dask({"default": Sort(start=2.0)}, Rules(interval=5.0, down=Pace(120.0, percent=25)))
    sawtooth(dask)
    dask.run(180 * 60, Watch(dask.rules))
    after_the_first = [change for now, change in dask.changes if now > dask.start + 65 * 60]
    assert not after_the_first


def test_it_follows_a_ramp():
    dask = live(office_hours, {"default": Sort()})
    noon, evening = len(dask.sizes["default"]) // 2, len(dask.sizes["default"]) * 3 // 4
    by_hour = [max(dask.sizes["default"][at : at + 60]) for at in range(0, noon, 360)]
    assert by_hour == sorted(by_hour)
    assert max(dask.sizes["default"][noon : noon + 60]) > max(dask.sizes["default"][evening : evening + 60])


def test_at_the_minimum_when_calm():
    dask = live(bursts, {"default": Sort(bounds=Bounds(3, 10), replicas=5)})
    assert dask.replicas["default"] == 3
    assert min(dask.sizes["default"]) == 3
    assert max(dask.sizes["default"]) == 10
    assert not dask.waiting


def test_long_tasks_get_a_worker_each_and_keep_it():
    """How long the first will last is known to nobody; when they have run for long they show it."""
    dask = Dask({"default": Sort(threads=1)}, Rules(interval=10.0))
    dask.seen["long"] = 2 * HOUR
    long_tasks(dask)
    dask.run(DAY, Watch(dask.rules))
    assert max(dask.sizes["default"]) == 11
    assert dask.killed_at_work == 0
    assert dask.done == 18


def test_to_nothing_and_back():
    dask = Dask({"default": Sort()})
    for hour in range(5):
        dask.submit(hour * HOUR + 60, tasks(30, 5.0))
    for hour in range(5):
        dask.run(HOUR / 2 if hour == 0 else HOUR, Watch(dask.rules))
        assert dask.done == 30 * (hour + 1)
        assert dask.replicas["default"] == 0


def test_steps_up_are_kept():
    rules = Rules(interval=5.0, up=Pace(0.0, step=3, percent=50))
    dask = Dask({"default": Sort(bounds=Bounds(0, 30))}, rules)
    dask.submit(60, tasks(600, 10.0))
    dask.seen["task"] = 10.0
    dask.run(HOUR, Watch(rules))
    grown = [change.after for _, change in dask.changes if change.after > change.before]
    assert grown[:8] == [1, 2, 3, 4, 6, 9, 12, 15]
    assert dask.done == 600
    assert dask.replicas["default"] == 0


def test_what_is_wanted_for_a_moment_makes_no_worker():
    rules = Rules(interval=5.0, up=Pace(30.0))
    dask = Dask({"default": Sort(bounds=Bounds(1, 30), threads=4)}, rules)
    for minute in range(5, 60):
        dask.submit(minute * 60, tasks(16, 1.0))
    dask.run(HOUR, Watch(rules))
    assert max(dask.sizes["default"]) == 1
    assert dask.done == 16 * 55


@pytest.mark.parametrize("own", [0, GIB // 2, 3 * GIB], ids=["light", "usual", "fat"])
def test_there_is_memory_for_the_data(own):
    """100 GiB of results: workers with 4 GiB each hold them until the client lets go of them."""
    dask = Dask({"default": Sort(limit=4 * GIB, own=own, bounds=Bounds(0))})
    for minute in range(10, 30):
        dask.submit(minute * 60, tasks(5, 2.0, data=GIB))
    dask.release(1.5 * HOUR)
    dask.run(HOUR, Watch(dask.rules))
    assert sum(pod.data for pod in dask.pods["default"]) == 100 * GIB, "nothing is lost"
    free = 0.6 * 4 - min(own / GIB, 0.3 * 4)
    # The last results come when there is no more work to make workers for.
    assert 90 / free <= dask.replicas["default"] <= 100 / free + 1
    dask.run(2 * HOUR, Watch(dask.rules))
    assert dask.replicas["default"] == 0
    assert dask.lost == 0


def two_kinds(*, plain=None, gpu=None):
    return {
        "default": Sort(bounds=plain or Bounds(0, 10)),
        "gpu": Sort(offers=GPU, bounds=gpu or Bounds(0, 4), threads=4, start=300.0),
    }


def test_tasks_that_ask_for_a_gpu_wake_the_group_that_has_them():
    dask = Dask(two_kinds())
    dask.submit(HOUR, tasks(6, 600.0, asks=GPU, kind="train"))
    dask.run(6 * HOUR, Watch(dask.rules))
    assert max(dask.sizes["gpu"]) == 4, "one GPU does one task at a time"
    assert max(dask.sizes["default"]) == 0
    assert dask.done == 6
    assert dask.replicas["gpu"] == 0
    assert dask.killed_at_work == 0


def test_plain_tasks_wake_no_gpu():
    dask = live(bursts, two_kinds(plain=Bounds(0)))
    assert max(dask.sizes["default"]) > 10
    assert max(dask.sizes["gpu"]) == 0


def test_plain_tasks_make_no_more_gpus_where_there_are_some():
    """The scheduler gives plain tasks to workers with a GPU as well."""
    dask = Dask(two_kinds(plain=Bounds(0), gpu=Bounds(1, 8)), Rules(interval=5.0))
    for minute in range(60):
        dask.submit(minute * 60 + HOUR, tasks(200, 3.0))
    dask.run(4 * HOUR, Watch(dask.rules))
    assert max(dask.sizes["default"]) > 5
    assert max(dask.sizes["gpu"]) <= 2
    assert dask.done == 60 * 200


def test_both_kinds_of_work_at_once():
    dask = Dask(two_kinds(), Rules(interval=10.0))
    bursts(dask)
    for hour in (3, 9, 15):
        dask.submit(hour * HOUR, tasks(5, 900.0, asks=GPU, kind="train"))
    dask.run(DAY, Watch(dask.rules))
    assert not dask.waiting
    assert dask.replicas == {"default": 0, "gpu": 0}


def test_the_next_group_by_priority_takes_what_the_first_cannot():
    sorts = {
        "cheap": Sort(bounds=Bounds(0, 3), priority=0),
        "dear": Sort(bounds=Bounds(0, 10), priority=5),
        "others": Sort(bounds=None, replicas=2),
    }
    dask = Dask(sorts)
    dask.seen["task"] = 10.0
    dask.submit(HOUR, tasks(4, 10.0))
    dask.submit(2 * HOUR, tasks(8, 10.0))
    dask.submit(3 * HOUR, tasks(100, 10.0))
    peaks = []
    for _ in range(3):
        dask.sizes = {name: [] for name in sorts}
        dask.run(1.5 * HOUR if not peaks else HOUR, Watch(dask.rules))
        peaks.append({name: max(sizes) for name, sizes in dask.sizes.items()})
    assert peaks == [
        {"cheap": 0, "dear": 0, "others": 2},
        {"cheap": 2, "dear": 0, "others": 2},
        {"cheap": 3, "dear": 10, "others": 2},
    ]
    assert dask.replicas == {"cheap": 0, "dear": 0, "others": 2}


@pytest.mark.parametrize("seed", range(8))
def test_any_day(seed):
    """Whatever the load, the rules and the groups: all that must hold does, and all work is done."""
    chance = random.Random(seed)
    sorts = {
        "default": Sort(
            threads=chance.choice([1, 2, 8]),
            start=chance.choice([1.0, 30.0, 200.0]),
            bounds=Bounds(chance.choice([0, 1, 2]), chance.choice([4, 20, None])),
        ),
        "more": Sort(
            start=chance.choice([1.0, 90.0]), bounds=Bounds(0, 5), priority=chance.choice([-1, 0, 1])
        ),
        "gpu": Sort(offers=GPU, start=chance.choice([5.0, 300.0]), bounds=Bounds(0, 3)),
    }
    rules = Rules(
        interval=chance.choice([10.0, 15.0]),
        target=chance.choice([None, 1.0, 60.0]),
        up=Pace(chance.choice([0.0, 0.0, 30.0]), step=chance.choice([None, 2])),
        down=Pace(chance.choice([0.0, 15.0, 120.0]), percent=chance.choice([10, 25, 100])),
        idle=chance.choice([0.0, 60.0]),
    )
    dask = Dask(sorts, rules)
    submitted = 0
    for _ in range(chance.randint(5, 60)):
        count, seconds = chance.choice([1, 10, 100]), chance.choice([0.1, 5.0, 120.0])
        asks = chance.choice([{}, {}, GPU])
        dask.submit(chance.uniform(0, 10 * HOUR), tasks(count, seconds, asks=asks, kind=str(seconds)))
        submitted += count
    dask.run(15 * HOUR, Watch(rules))
    assert dask.done == submitted
    assert dask.replicas == {name: sort.bounds.minimum for name, sort in sorts.items()}
    assert dask.killed_at_work == 0
