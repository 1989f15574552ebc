"""Recorded shapes of real graphs on simulated clusters: how many workers they get, and how long they take."""

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from dask_k8s_autoscaler.model import Bounds, ScalingRules, Settings

from .simulation import GroupSpec, Simulation, Task

SHAPES = Path(__file__).with_name("shapes")
SHAPES_AND_STREAM = ("mapped", "reduced", "shuffled", "pinned", "long", "steady")


def recorded(name):
    """The tasks of a recorded graph."""
    graph = json.loads(SHAPES.joinpath(f"{name}.json").read_text())
    tasks = [
        Task(seconds, kind=graph["kinds"][kind], data=data, pinned=pinned)
        for kind, seconds, data, pinned, _ in graph["tasks"]
    ]
    for task, (*_, needs) in zip(tasks, graph["tasks"], strict=True):
        task.needs = tuple(tasks[place] for place in needs)
    return tasks


def steady(seconds=5.0, at_once=50, until=1200):
    """A stream of tasks of which so many run at a time."""
    return {
        second: [Task(seconds) for _ in range(math.ceil(at_once / seconds))] for second in range(1, until)
    }


class DasksOwn(Simulation):
    """Scaled as by `distributed.Adaptive`: `adaptive_target`, and only workers without tasks are closed."""

    def look(self):
        work, [(name, spec)] = self.work(), self.specs.items()
        tasks = work.tasks + sum(pool.pinned_tasks for pool in work.pools)
        seconds = work.seconds + sum(pool.pinned_seconds for pool in work.pools)
        target = math.ceil(min(math.ceil(seconds / work.target), tasks) / spec.threads)
        busy = sum(not pod.idle for pod in self._workers())
        self.replicas[name] = spec.bounds.clamp(max(target, min(busy, self.replicas[name])))
        self._kubelet()
        self._assign()
        self.sizes[name].append(self.replicas[name])


def run(shape, settings=None, *, replicas=50, kind=Simulation):
    """Run a graph, or a stream of tasks, on workers of 8 threads; every task is done, and none is killed."""
    group = GroupSpec(threads=8, bounds=Bounds(0, 60), replicas=replicas)
    simulation = kind({"default": group}, settings)
    arrivals = steady() if shape == "steady" else {0: recorded(shape)}
    for second, tasks in arrivals.items():
        simulation.submit(60 + second, tasks)
    simulation.run(1500)
    assert simulation.done == sum(map(len, arrivals.values()))
    assert simulation.killed == 0
    return simulation


FAST = ScalingRules(15.0, max_percent=100)
DEFAULT, PACKED = Settings(), Settings(down=FAST)
SLOW = Settings(target=60.0, down=FAST)
NEVER_BUSY = Settings(idle=0.0, down=FAST)
TIMES = (60, 90, 120, 150, 240, 480, 600, 1200)
"""Seconds after the cluster has been created with 50 workers; the work comes after 60 s."""


@pytest.mark.parametrize(
    "shape, settings, expected",
    [
        pytest.param("mapped", DEFAULT, [22, 17, 10, 6, 1, 1, 1, 1], id="map"),
        pytest.param("mapped", PACKED, [3, 19, 1, 1, 1, 1, 1, 1], id="map, without steps"),
        pytest.param("mapped", SLOW, [1, 2, 1, 1, 1, 1, 1, 1], id="map, within a minute"),
        pytest.param("reduced", DEFAULT, [22, 17, 10, 6, 1, 1, 1, 1], id="reduce"),
        pytest.param("reduced", PACKED, [2, 12, 1, 1, 1, 1, 1, 1], id="reduce, without steps"),
        pytest.param("reduced", SLOW, [1, 2, 1, 1, 1, 1, 1, 1], id="reduce, within a minute"),
        pytest.param("shuffled", DEFAULT, [22, 13, 8, 5, 1, 1, 1, 1], id="shuffle"),
        pytest.param("shuffled", PACKED, [1, 9, 1, 1, 1, 1, 1, 1], id="shuffle, without steps"),
        pytest.param("shuffled", SLOW, [1, 1, 1, 1, 1, 1, 1, 1], id="shuffle, within a minute"),
        pytest.param("pinned", DEFAULT, [22, 17, 10, 6, 1, 1, 1, 1], id="peer-to-peer"),
        pytest.param("pinned", PACKED, [1, 4, 2, 1, 1, 1, 1, 1], id="peer-to-peer, without steps"),
        pytest.param("long", DEFAULT, [22, 20, 20, 20, 20, 15, 2, 1], id="long: they have begun and stay"),
        pytest.param("long", PACKED, [1, 3, 3, 3, 3, 3, 2, 1], id="long, without steps"),
        pytest.param("steady", DEFAULT, [22, 17, 10, 7, 7, 7, 7, 7], id="stream of 50 at a time"),
        pytest.param("steady", PACKED, [0, 33, 15, 7, 7, 7, 7, 7], id="stream, without steps"),
        pytest.param("steady", SLOW, [0, 3, 5, 6, 6, 6, 6, 6], id="stream, within a minute"),
        pytest.param("steady", NEVER_BUSY, [0, 33, 33, 26, 26, 26, 26, 26], id="stream, only idle ones go"),
    ],
)  # fmt: skip
def test_sizes(shape, settings, expected):
    sizes = run(shape, settings).sizes["default"]
    assert [sizes[round(time / settings.interval) - 1] for time in TIMES] == expected


@pytest.mark.parametrize("shape", SHAPES_AND_STREAM)
@pytest.mark.parametrize("replicas", [0, 50])
def test_work_is_done_as_soon_as_with_dasks_own_adaptive(shape, replicas):
    ours, dasks = (run(shape, replicas=replicas, kind=kind) for kind in (Simulation, DasksOwn))
    assert ours.last_done <= dasks.last_done


def test_a_stream_of_tasks_needs_a_quarter_of_the_workers():
    ours, dasks = (run("steady", kind=kind).sizes["default"][100:240] for kind in (Simulation, DasksOwn))
    assert set(ours) == {7}
    assert min(dasks) >= 4 * 7


@pytest.mark.parametrize("replicas", [0, 1, 50])
@pytest.mark.parametrize("settings", [DEFAULT, PACKED], ids=["default", "packed"])
@pytest.mark.parametrize("shape", SHAPES_AND_STREAM)
def test_groups_do_not_grow_again_after_they_have_become_smaller(shape, settings, replicas):
    """Workers go before the work comes; after that a group grows, and then it shrinks."""
    simulation = run(shape, settings, replicas=replicas)
    changes = [
        change.after > change.before for now, change in simulation.changes if now > simulation.start + 60
    ]
    assert sum(up and not before for before, up in pairwise([False, *changes])) <= 1
