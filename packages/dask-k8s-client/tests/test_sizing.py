"""The number of workers for an amount of memory or cores."""

import pytest

from dask_k8s_client import make_worker_spec
from dask_k8s_client.sizing import Size

LIMITED = make_worker_spec(resources={"limits": {"cpu": "1500m", "memory": "4Gi"}, "requests": {"cpu": 1}})
REQUESTED = make_worker_spec(resources={"requests": {"cpu": 2, "memory": "2G"}})
THREADS = make_worker_spec(worker_command="dask worker --nthreads 4", resources={"limits": {"cpu": "2"}})
THREADS_TOO = make_worker_spec(worker_command="dask worker --nthreads=4")


@pytest.mark.parametrize(
    "worker, arguments, expected",
    [
        pytest.param(LIMITED, {"memory": "16GiB"}, 4, id="memory"),
        pytest.param(LIMITED, {"memory": "16.5 GiB"}, 5, id="rounded up"),
        pytest.param(LIMITED, {"memory": 4 << 30}, 1, id="bytes"),
        pytest.param(LIMITED, {"cores": 3}, 2, id="cores"),
        pytest.param(LIMITED, {"n": 1, "memory": "8GiB", "cores": 9}, 6, id="the most"),
        pytest.param(LIMITED, {"n": 7, "memory": "8GiB"}, 7, id="the number"),
        pytest.param(LIMITED, {"memory": 0}, 0, id="none"),
        pytest.param(REQUESTED, {"memory": "8GB"}, 4, id="request of memory"),
        pytest.param(REQUESTED, {"cores": 8}, 4, id="request of cores"),
        pytest.param(THREADS, {"cores": 8}, 2, id="threads"),
        pytest.param(THREADS_TOO, {"cores": 8}, 2, id="threads with an equals sign"),
    ],
)
def test_count(worker, arguments, expected):
    assert Size.parse(**{"n": None, "memory": None, "cores": None} | arguments).count(worker) == expected


@pytest.mark.parametrize("argument, value", [("memory", "1GiB"), ("cores", 1)])
def test_workers_without_resources(argument, value):
    size = Size.parse(**{"n": None, "memory": None, "cores": None} | {argument: value})
    with pytest.raises(ValueError, match=f"{argument}: the workers have no limit and no request for it"):
        size.count(make_worker_spec())


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        pytest.param((None, None, None), TypeError, "n: a number of workers is needed", id="nothing"),
        pytest.param((-1, None, None), ValueError, "n: must not be negative", id="negative"),
        pytest.param((None, "much", None), ValueError, "memory: must be a number of bytes", id="memory"),
        pytest.param((None, None, -1), ValueError, "cores: must be a number of cores", id="cores"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Size.parse(*arguments)
