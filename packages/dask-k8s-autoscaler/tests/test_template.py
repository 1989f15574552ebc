"""What a pod template says of the workers that are made from it."""

import pytest

from dask_k8s_autoscaler.template import WorkerShape, worker_shape
from dask_k8s_crds.workergroup import WorkerSpec


def shape(*args, command=(), limits=None, env=(), **worker):
    container = {"name": "worker", "args": list(args), "command": list(command), "env": list(env)}
    if limits:
        container["resources"] = {"limits": limits}
    return worker_shape(WorkerSpec.model_validate({"spec": {"containers": [container]}, **worker}))


VARIABLE = {"name": "DASK_DISTRIBUTED__WORKER__RESOURCES__GPU", "value": "2"}


@pytest.mark.parametrize(
    "found, expected",
    [
        pytest.param(shape("dask", "worker"), WorkerShape(0, 1, {}), id="nothing"),
        pytest.param(shape("dask", "worker", "--nthreads", "4"), WorkerShape(4, 1, {}), id="threads"),
        pytest.param(shape("dask", "worker", "--nthreads=4"), WorkerShape(4, 1, {}), id="with ="),
        pytest.param(
            shape(command=["dask", "worker", "--nthreads", "4"]), WorkerShape(4, 1, {}), id="command"
        ),
        pytest.param(
            shape("--nthreads", "4", "--nworkers", "2"), WorkerShape(8, 2, {}), id="several workers"
        ),
        pytest.param(shape("--nprocs", "3"), WorkerShape(0, 3, {}), id="as it was called"),
        pytest.param(shape("--nworkers", "auto"), WorkerShape(0, 1, {}), id="who knows how many"),
        pytest.param(shape(limits={"cpu": "2"}), WorkerShape(2, 1, {}), id="processors"),
        pytest.param(shape(limits={"cpu": 2}), WorkerShape(2, 1, {}), id="as a number"),
        pytest.param(shape(limits={"cpu": "1500m"}), WorkerShape(2, 1, {}), id="parts of them"),
        pytest.param(shape(limits={"cpu": "many"}), WorkerShape(0, 1, {}), id="nonsense"),
        pytest.param(
            shape("--nthreads", "4", limits={"cpu": "2"}), WorkerShape(4, 1, {}), id="threads are said"
        ),
        pytest.param(shape(daskResources={"GPU": 1}), WorkerShape(0, 1, {"GPU": 1}), id="resources"),
        pytest.param(
            shape("--resources", "GPU=1 MEM=2e9"), WorkerShape(0, 1, {"GPU": 1, "MEM": 2e9}), id="option"
        ),
        pytest.param(shape("--resources=GPU=1,SSD=x"), WorkerShape(0, 1, {"GPU": 1}), id="option with ="),
        pytest.param(shape(env=[VARIABLE]), WorkerShape(0, 1, {"GPU": 2}), id="environment"),
        pytest.param(
            shape(env=[{"name": "X", "valueFrom": {}}]), WorkerShape(0, 1, {}), id="other variables"
        ),
        pytest.param(
            shape("--resources", "GPU=1", daskResources={"GPU": 2}),
            WorkerShape(0, 1, {"GPU": 2}),
            id="the field wins",
        ),
        pytest.param(
            worker_shape(WorkerSpec.model_validate({"spec": {}})), WorkerShape(0, 1, {}), id="no container"
        ),
    ],
)
def test_worker_shape(found, expected):
    assert found == expected
