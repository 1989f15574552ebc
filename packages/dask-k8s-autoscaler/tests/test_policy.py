"""From one look to the next: windows, steps, bounds, and what is said of them."""

from itertools import pairwise

import pytest

from dask_k8s_autoscaler.history import History
from dask_k8s_autoscaler.model import Bounds, Group, ScalingRules, Settings, WaitingTasks, Work, WorkerPool
from dask_k8s_autoscaler.policy import decide, within_bounds

NOW = 1_000_000.0


def sizes(looks, settings, *, size=0, bounds=Bounds(), every=5.0):  # noqa: B008 - a value
    """The sizes of a group after each look; a look is how many pods are needed, and how many are busy."""
    history, found = History(), []
    for place, look in enumerate(looks):
        pods, busy = look if isinstance(look, tuple) else (look, 0)
        group = Group("g", size, bounds=bounds, threads=1)
        pools = (WorkerPool({}, size, size - busy, size),) if size else ()
        work = Work(5.0, pools, (WaitingTasks({}, 10 * pods, 5.0 * pods),) if pods else ())
        decision = decide([group], work, settings, history, NOW + place * every)
        for change in decision.changes:
            assert change.before == size
            size = change.after
        history = decision.history.resized(NOW + place * every, {"g": size})
        found.append(size)
    return found


ALL = ScalingRules(15.0, max_percent=100)


@pytest.mark.parametrize(
    "looks, settings, start, expected",
    [
        pytest.param([0, 4, 9], Settings(), 0, [0, 4, 9], id="up at once"),
        pytest.param([4, 0, 0, 0, 0], Settings(down=ALL), 0, [4, 4, 4, 4, 0], id="down after a window"),
        pytest.param([0, 0, 0, 0], Settings(down=ALL), 4, [4, 4, 4, 0], id="at first, a whole window"),
        pytest.param(
            [4, 3, 2, 1, 0, 0], Settings(down=ALL), 4, [4, 4, 4, 4, 3, 3], id="the highest within the window"
        ),
        pytest.param(
            [4, 0, 0, 4, 0, 0, 4, 0, 0], Settings(down=ALL), 4, [4] * 9, id="a sawtooth within the window"
        ),
        pytest.param(
            [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Settings(), 8, [8, 8, 8, 8, 6, 6, 6, 5, 5, 5, 4], id="by steps"
        ),
        pytest.param(
            [0] * 5, Settings(down=ScalingRules(0.0, max_percent=50)), 8, [4, 2, 1, 0, 0],
            id="no window: a step each look",
        ),
        pytest.param(
            [9] * 4, Settings(up=ScalingRules(0.0, max_step=4)), 0, [4, 8, 9, 9],
            id="no more at once",
        ),
        pytest.param(
            [9] * 5, Settings(up=ScalingRules(0.0, max_percent=100)), 0, [1, 2, 4, 8, 9],
            id="no more in percent",
        ),
        pytest.param(
            [9] * 5, Settings(up=ScalingRules(0.0, max_step=2, max_percent=100)), 0, [1, 2, 4, 6, 8],
            id="the smaller of both",
        ),
        pytest.param(
            [0, 5, 3, 4, 4, 4], Settings(up=ScalingRules(10.0)), 0, [0, 0, 0, 3, 3, 4],
            id="the lowest within the window",
        ),
        pytest.param([5, 0, 5, 0], Settings(up=ScalingRules(10.0)), 0, [0] * 4, id="needed for a moment"),
        pytest.param(
            [(0, 2)] * 2 + [(0, 0)] * 8, Settings(down=ScalingRules(0.0, max_percent=100), idle=30.0), 4,
            [4, 4, 4, 4, 4, 4, 2, 2, 0, 0], id="who was at work lately stays",
        ),
        pytest.param(
            [0] * 6, Settings(down=ALL, cooldown_until=NOW + 20), 4, [4, 4, 4, 4, 0, 0],
            id="not before the cooldown ends",
        ),
        pytest.param([5] * 2, Settings(cooldown_until=NOW + 900), 0, [5, 5], id="up in the cooldown"),
    ],
)  # fmt: skip
def test_windows_and_steps(looks, settings, start, expected):
    assert sizes(looks, settings, size=start) == expected


@pytest.mark.parametrize(
    "replicas, bounds, size",
    [
        pytest.param(5, Bounds(0, None), 5, id="no bounds"),
        pytest.param(5, Bounds(0, 3), 3, id="too many"),
        pytest.param(0, Bounds(2, 3), 2, id="too few"),
        pytest.param(9, Bounds(0, 0), 0, id="none"),
    ],
)
def test_bounds(replicas, bounds, size):
    changes = within_bounds([Group("g", replicas, bounds=bounds), Group("not ours", 7)])
    assert [change.after for change in changes] == ([size] if size != replicas else [])


def test_decisions_keep_the_bounds():
    assert sizes([0, 9, 9, 0, 0, 0, 0, 0], Settings(down=ALL), size=2, bounds=Bounds(2, 5)) == [
        2,
        5,
        5,
        5,
        5,
        5,
        2,
        2,
    ]


def test_silence_makes_the_past_worthless():
    found = sizes([0, 0, 0, 0], Settings(down=ALL), size=4, every=100.0)
    assert found == [4, 4, 4, 4]


def test_the_target_of_the_user_goes_before_that_of_the_scheduler():
    assert sizes([6], Settings(target=10.0)) == [3]


@pytest.mark.parametrize("window", [0.0, 30.0])
def test_history_stays_small(window):
    history, group = History(), Group("g", 5, bounds=Bounds())
    for place in range(1000):
        work = Work(5.0, (), (WaitingTasks({}, 100, 5.0 * (place % 7)),))
        history = decide([group], work, Settings(down=ScalingRules(window)), history, NOW + 5 * place).history
    samples = history.groups["g"].samples
    assert len(samples) <= window / 5 + 2
    assert all(before.time < after.time for before, after in pairwise(samples))


def limit(groups, *waiting):
    found = decide(groups, Work(5.0, (), waiting), Settings(), History(), NOW).limit
    return found and (found.reason, found.message)


def test_limits():
    group = Group("g", 1, bounds=Bounds(1, 2), threads=1)
    assert limit([group], WaitingTasks({}, 1, 1.0)) is None
    assert limit([group]) == ("AtMinimum", "fewer workers would do, but g is at its minimum of 1")
    assert limit([group], WaitingTasks({}, 9, 99.0)) == (
        "AtMaximum",
        "more workers are needed, but g is at its maximum of 2",
    )
    assert limit([group], WaitingTasks({"GPU": 1.0}, 1, 1.0)) == (
        "NoGroupOffers",
        "tasks ask for {GPU: 1}, and no group that may have workers offers it in spec.worker.daskResources",
    )
    assert limit([Group("g", 0, bounds=Bounds(0, 0))], WaitingTasks({}, 1, 1.0)) == (
        "NoGroupOffers",
        "tasks wait, and no group may have workers",
    )


def test_messages():
    group = Group("g", 2, bounds=Bounds(), threads=1)
    (up,) = decide([group], Work(5.0, (), (WaitingTasks({}, 40, 25.0),)), Settings(), History(), NOW).changes
    assert (
        up.message == "scaled g from 2 to 5: 40 tasks with 25 s of work are there, "
        "5 s per thread are wanted"  # codespell:ignore wanted
    )
    full = WorkerPool({}, 2, 1, 2, tasks=1, seconds=0.1, data=100, memory=100, limit=100)
    (up,) = decide([group], Work(5.0, (full,)), Settings(), History(), NOW).changes
    assert up.message == "scaled g from 2 to 4: so many hold the data without filling their memory"
    (bound,) = within_bounds([Group("g", 9, bounds=Bounds(0, 3))])
    assert bound.message == "scaled g from 9 to 3: 3 is its maximum"
