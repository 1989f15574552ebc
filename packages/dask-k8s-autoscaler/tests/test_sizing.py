"""How many pods some work or some data ask for."""

import pytest

from dask_k8s_autoscaler.model import WorkerPool
from dask_k8s_autoscaler.sizing import (
    PodCapacity,
    data_capacity,
    pod_capacity,
    pods_for_data,
    pods_for_tasks,
    round_up,
    task_slots,
)

GPU = {"GPU": 1.0}


@pytest.mark.parametrize(
    "seconds, tasks, threads, pods",
    [
        pytest.param(0, 0, 1, 0, id="no work"),
        pytest.param(50, 100, 1, 10, id="by time"),
        pytest.param(50, 100, 4, 2.5, id="threads share the work"),
        pytest.param(3600, 3, 1, 3, id="a worker for each of a few long tasks"),
        pytest.param(3600, 3, 2, 1.5, id="a thread for each of them"),
        pytest.param(0.1, 1000, 1, 0.02, id="many that are nothing"),
    ],
)
def test_pods_for_tasks(seconds, tasks, threads, pods):
    assert pods_for_tasks(seconds, tasks, target=5.0, slots=threads) == pytest.approx(pods)


@pytest.mark.parametrize(
    "offers, asks, number",
    [
        pytest.param({}, {}, 4, id="as many as threads"),
        pytest.param(GPU, {}, 4, id="a resource that nobody asks for"),
        pytest.param(GPU, GPU, 1, id="one GPU, one task"),
        pytest.param({"GPU": 2}, GPU, 2, id="two GPUs"),
        pytest.param({"GPU": 8}, GPU, 4, id="more GPUs than threads"),
        pytest.param({}, GPU, 0, id="not offered"),
        pytest.param(GPU, {"GPU": 2}, 0, id="not enough of it"),
        pytest.param(GPU, GPU | {"SSD": 1}, 0, id="only one of two"),
        pytest.param({"MEM": 100e9}, {"MEM": 40e9}, 2, id="amounts"),
        pytest.param(GPU, {"GPU": 0}, 4, id="asks for nothing of it"),
        pytest.param(GPU, {"GPU": 5e-324}, 4, id="asks for almost nothing of it"),
    ],
)
def test_task_slots(offers, asks, number):
    assert task_slots(4, offers, asks) == number


@pytest.mark.parametrize(
    "data, free, pods",
    [
        pytest.param(0, 10, 0, id="no data"),
        pytest.param(95, 10, 10, id="enough for it"),
        pytest.param(100, 10, 10, id="just enough"),
        pytest.param(5, 0, 1, id="no limit: somebody has to keep it"),
    ],
)
def test_pods_for_data(data, free, pods):
    assert pods_for_data(data, free) == pods


@pytest.mark.parametrize(
    "memory, data, limit, processes, free",
    [
        pytest.param(0, 0, 1000, 1, 60, id="60 % of the limit"),
        pytest.param(200, 100, 1000, 1, 50, id="less what the worker needs for itself"),
        pytest.param(900, 100, 1000, 1, 30, id="but no more than 30 % of that"),
        pytest.param(100, 150, 1000, 1, 60, id="more data than memory, as what is spilled"),
        pytest.param(0, 0, 1000, 3, 180, id="of all processes of a pod"),
        pytest.param(500, 100, 0, 1, 0, id="no limit"),
    ],
)
def test_data_capacity(memory, data, limit, processes, free):
    pool = WorkerPool({}, workers=10, idle=0, threads=10, memory=memory, data=data, limit=limit)
    assert data_capacity(pool, processes) == pytest.approx(free)


def test_pod_capacity():
    connected = WorkerPool({}, workers=2, idle=0, threads=8, limit=200)
    known = PodCapacity(3.0)
    assert pod_capacity(connected, known, threads=2, processes=1) == PodCapacity(4.0, 60.0)
    assert pod_capacity(connected, known, threads=2, processes=2) == PodCapacity(8.0, 120.0)
    assert pod_capacity(None, known, threads=2, processes=1) == known
    assert pod_capacity(None, None, threads=2, processes=1) == PodCapacity(2.0)
    assert pod_capacity(None, None, threads=0, processes=1) == PodCapacity(1.0)
    assert pod_capacity(WorkerPool({}, 0, 0, 0), None, threads=0, processes=4) == PodCapacity(4.0)


@pytest.mark.parametrize("number, whole", [(0, 0), (0.01, 1), (3, 3), (3.0000000001, 3), (3.1, 4)])
def test_round_up(number, whole):
    assert round_up(number) == whole
