"""How many pods some work or some data ask for."""

import pytest

from dask_k8s_autoscaler.values import Pool
from dask_k8s_autoscaler.wanted import Shape, by_memory, by_time, lanes, room, shape, up

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
def test_by_time(seconds, tasks, threads, pods):
    assert by_time(seconds, tasks, target=5.0, lanes=threads) == pytest.approx(pods)


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
    ],
)
def test_lanes(offers, asks, number):
    assert lanes(4, offers, asks) == number


@pytest.mark.parametrize(
    "data, free, pods",
    [
        pytest.param(0, 10, 0, id="no data"),
        pytest.param(95, 10, 10, id="enough for it"),
        pytest.param(100, 10, 10, id="just enough"),
        pytest.param(5, 0, 1, id="no limit: somebody has to keep it"),
    ],
)
def test_by_memory(data, free, pods):
    assert by_memory(data, free) == pods


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
def test_room(memory, data, limit, processes, free):
    pool = Pool({}, workers=10, idle=0, threads=10, memory=memory, data=data, limit=limit)
    assert room(pool, processes) == pytest.approx(free)


def test_shape():
    connected = Pool({}, workers=2, idle=0, threads=8, limit=200)
    known = Shape(3.0)
    assert shape(connected, known, threads=2, processes=1) == Shape(4.0, 60.0)
    assert shape(connected, known, threads=2, processes=2) == Shape(8.0, 120.0)
    assert shape(None, known, threads=2, processes=1) == known
    assert shape(None, None, threads=2, processes=1) == Shape(2.0)
    assert shape(None, None, threads=0, processes=1) == Shape(1.0)
    assert shape(Pool({}, 0, 0, 0), None, threads=0, processes=4) == Shape(4.0)


@pytest.mark.parametrize("number, whole", [(0, 0), (0.01, 1), (3, 3), (3.0000000001, 3), (3.1, 4)])
def test_up(number, whole):
    assert up(number) == whole
