"""Which group needs how many pods, by what work there is and who could do it."""

import pytest

from dask_k8s_autoscaler.allocation import allocate
from dask_k8s_autoscaler.model import Bounds, Group, WaitingTasks, Work, WorkerPool
from dask_k8s_autoscaler.sizing import PodCapacity

from .operations import operations

GPU = {"GPU": 1.0}
GIB = 2**30


def group(name="default", replicas=0, most=None, *, offers=None, ours=True, **more):
    return Group(name, replicas, offers or {}, Bounds(0, most) if ours else None, **{"threads": 1, **more})


def pool(workers, idle=0, *, offers=None, threads=1, **more):
    return WorkerPool(offers or {}, workers, idle, workers * threads, **more)


def waiting(tasks, seconds, **asks):
    return WaitingTasks(asks, tasks, seconds)


def allocation(groups, *parts, known=None):
    pools = tuple(part for part in parts if isinstance(part, WorkerPool))
    rest = tuple(part for part in parts if isinstance(part, WaitingTasks))
    return allocate(groups, Work(5.0, pools, rest), known or {})


def needs(groups, *parts, known=None):
    return {name: need.pods for name, need in allocation(groups, *parts, known=known).needs.items()}


def own_resources(count):
    """Pools of one busy worker, each with a resource of its own."""
    return [pool(1, offers={f"r{n}": 1.0}, tasks=1, seconds=9.0, asked={f"r{n}": 1.0}) for n in range(count)]


def same_resources(count):
    return [pool(count, offers=GPU, tasks=count, seconds=9.0, asked=GPU)]


def own_waiting(count):
    return [waiting(1, 9.0, **{f"r{n}": 1}) for n in range(count)]


def own_groups(count):
    return [group(f"g{n}", 1, offers={f"r{n}": 1.0}) for n in range(count)]


DEFAULT = group()
GPUS = group("gpu", most=4, offers=GPU)


@pytest.mark.parametrize(
    "groups, parts, expected",
    [
        pytest.param([DEFAULT], [], {"default": 0}, id="nothing"),
        pytest.param([DEFAULT], [waiting(100, 50.0)], {"default": 10}, id="work that waits"),
        pytest.param([DEFAULT], [waiting(1, 0.0)], {"default": 1}, id="one for any task"),
        pytest.param([DEFAULT], [waiting(3, 900.0)], {"default": 3}, id="no more than tasks"),
        pytest.param(
            [group(replicas=1)], [waiting(2, 1000.0), pool(1, tasks=1000, seconds=1.0)], {"default": 3},
            id="many short tasks do not unbind a few long ones",
        ),
        pytest.param(
            [group(replicas=10)], [pool(2, tasks=4, seconds=20.0), waiting(10, 20.0)], {"default": 8},
            id="pending pods count, and no more are needed than by all work",
        ),
        pytest.param([group(threads=4)], [waiting(100, 100.0)], {"default": 5}, id="threads of the template"),
        pytest.param(
            [group(replicas=1, threads=4)], [pool(1, threads=2), waiting(100, 100.0)], {"default": 10},
            id="threads of those that are connected",
        ),
        pytest.param(
            [group(replicas=10)], [pool(10, idle=7, tasks=3, seconds=0.3)], {"default": 3},
            id="who works stays",
        ),
        pytest.param([group(replicas=10)], [pool(10, idle=10)], {"default": 0}, id="who is idle may go"),
        pytest.param([group(most=3)], [waiting(100, 50.0)], {"default": 3}, id="no more than the maximum"),
        pytest.param(
            [group(replicas=2, processes=4)], [pool(8, idle=5, tasks=3, seconds=0.1)], {"default": 1},
            id="pods of several workers",
        ),
        pytest.param(
            [DEFAULT], [pool(6), waiting(100, 50.0)], {"default": 4}, id="workers of no group are capacity"
        ),
    ],
)  # fmt: skip
def test_one_group(groups, parts, expected):
    assert needs(groups, *parts) == expected


@pytest.mark.parametrize(
    "groups, parts, expected",
    [
        pytest.param(
            [DEFAULT, GPUS], [waiting(3, 900.0, GPU=1)], {"default": 0, "gpu": 3}, id="who asks for a GPU"
        ),
        pytest.param([DEFAULT, GPUS], [waiting(3, 900.0)], {"default": 3, "gpu": 0}, id="who does not"),
        pytest.param(
            [group(most=2), GPUS], [waiting(9, 900.0)], {"default": 2, "gpu": 4},
            id="plain tasks, once there is no room elsewhere",
        ),
        pytest.param(
            [DEFAULT, group("gpu", most=4, offers=GPU, priority=-1)], [waiting(9, 900.0)],
            {"default": 5, "gpu": 4}, id="plain tasks, if the priority says so",
        ),
        pytest.param(
            [group(most=0), group("gpu", 1, most=4, offers=GPU)],
            [pool(1, offers=GPU, threads=4, tasks=6, seconds=600.0, asked={"GPU": 6})],
            {"default": 0, "gpu": 4}, id="one GPU does one task, whatever the threads",
        ),
        pytest.param(
            [DEFAULT, group("gpu", 1, most=8, offers=GPU)],
            [pool(1, offers=GPU, tasks=100, seconds=100.0, asked={"GPU": 0})], {"default": 19, "gpu": 1},
            id="plain tasks at a GPU ask for plain workers",
        ),
        pytest.param(
            [DEFAULT, group("gpu", 1, most=8, offers=GPU)],
            [pool(1, offers=GPU, tasks=100, seconds=100.0, asked={"GPU": 25})], {"default": 15, "gpu": 5},
            id="some of them ask for it",
        ),
        pytest.param(
            [DEFAULT, group("big", offers={"GPU": 4.0}, threads=4)], [waiting(6, 600.0, GPU=2)],
            {"default": 0, "big": 3}, id="two tasks at a time",
        ),
        pytest.param(
            [group("ssd", offers={"GPU": 1.0, "SSD": 1.0}), GPUS], [waiting(2, 100.0, GPU=1)],
            {"ssd": 0, "gpu": 2}, id="who offers least beyond it",
        ),
        pytest.param(
            [group("cheap", most=3, priority=1), group("dear", most=9, priority=2)], [waiting(99, 50.0)],
            {"cheap": 3, "dear": 7}, id="by priority",
        ),
        pytest.param(
            [group("cheap", most=9, priority=1), group("dear", 4, most=9, priority=2)], [waiting(99, 20.0)],
            {"cheap": 0, "dear": 4}, id="who is there already goes before priority",
        ),
        pytest.param(
            [group("cheap", 4, most=9, priority=1), group("dear", 4, most=9, priority=2)],
            [waiting(99, 30.0)], {"cheap": 4, "dear": 2}, id="the dear ones go first",
        ),
        pytest.param(
            [DEFAULT, group("fixed", 3, ours=False)], [waiting(99, 50.0)], {"default": 7},
            id="others are capacity",
        ),
        pytest.param(
            [DEFAULT, group("fixed", 3, ours=False, offers=GPU)], [waiting(99, 50.0)], {"default": 7},
            id="others with a GPU are capacity, too",
        ),
        pytest.param(
            [group(replicas=5), group("fixed", 5, ours=False)],
            [pool(10, idle=5, tasks=5, seconds=5.0, busy={"fixed": 5})], {"default": 0},
            id="who works in another group is known",
        ),
        pytest.param(
            [group(replicas=5), group("fixed", 5, ours=False)], [pool(10, idle=5, tasks=5, seconds=5.0)],
            {"default": 5}, id="who works in which group is not known: it may be here",
        ),
    ],
)  # fmt: skip
def test_many_groups(groups, parts, expected):
    assert needs(groups, *parts) == expected


@pytest.mark.parametrize(
    "replicas, parts, pods",
    [
        pytest.param(10, [pool(10, 10, data=12 * GIB, limit=40 * GIB)], 5, id="room for what there is"),
        pytest.param(10, [pool(10, 10, data=1, limit=40 * GIB)], 1, id="the last keeps the last byte"),
        pytest.param(10, [pool(10, 10, data=1)], 1, id="so where there is no limit"),
        pytest.param(2, [pool(2, 2, data=7 * GIB, limit=8 * GIB)], 2, id="idle: more would not help"),
        pytest.param(
            2, [pool(2, 1, tasks=1, seconds=0.1, data=7 * GIB, limit=8 * GIB)], 3, id="busy: in proportion"
        ),
        pytest.param(
            4, [pool(2, 1, tasks=1, seconds=0.1, data=7 * GIB, limit=8 * GIB)], 3, id="pending pods count"
        ),
    ],
)
def test_data(replicas, parts, pods):
    assert needs([group(replicas=replicas)], *parts) == {"default": pods}


def test_data_may_be_at_workers_that_are_not_ours():
    groups = [group(replicas=5), group("fixed", 5, ours=False)]
    assert needs(groups, pool(10, 10, data=12 * GIB, limit=40 * GIB)) == {"default": 0}


def test_what_pods_were_like():
    result = allocation([group(replicas=1)], pool(1, threads=8))
    assert result.capacities["default"].threads == 8
    assert needs([group()], waiting(80, 80.0), known=result.capacities) == {"default": 2}
    assert not allocation([group()], waiting(80, 80.0)).capacities
    assert needs([group()], waiting(80, 80.0), known={"default": PodCapacity(2.0)}) == {"default": 8}


def test_what_nobody_can_do():
    result = allocation(
        [DEFAULT, group("fixed", 0, offers={"FPGA": 1.0}, ours=False)], waiting(5, 5.0, FPGA=1.0)
    )
    assert result.unsatisfiable == ({"FPGA": 1.0},)
    assert result.needs["default"].pods == 0
    assert not result.full


def test_who_would_be_larger():
    assert allocation([group(most=2), group("more", most=1)], waiting(9, 99.0)).full == ("default", "more")
    assert not allocation([group(most=2)], waiting(9, 10.0)).full


@pytest.mark.parametrize(
    "groups, pools, tasks",
    [
        pytest.param(lambda n: [DEFAULT], own_resources, lambda n: (), id="workers with one resource each"),
        pytest.param(lambda n: [DEFAULT], own_resources, own_waiting, id="tasks that ask for one each"),
        pytest.param(own_groups, own_resources, own_waiting, id="a group for each resource"),
        pytest.param(own_groups, same_resources, own_waiting, id="equal workers"),
    ],
)
def test_work_is_proportional_to_the_answer(groups, pools, tasks):
    small, large = (operations(lambda n=n: allocation(groups(n), *pools(n), *tasks(n))) for n in (50, 200))
    assert large < 6 * small
