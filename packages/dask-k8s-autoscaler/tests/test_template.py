"""What a pod template says of the workers that are made from it."""

import pytest

from dask_k8s_autoscaler.template import Said, read
from dask_k8s_crds.workergroup import WorkerSpec


def said(*args, command=(), limits=None, env=(), **worker):
    container = {"name": "worker", "args": list(args), "command": list(command), "env": list(env)}
    if limits:
        container["resources"] = {"limits": limits}
    return read(WorkerSpec.model_validate({"spec": {"containers": [container]}, **worker}))


VARIABLE = {"name": "DASK_DISTRIBUTED__WORKER__RESOURCES__GPU", "value": "2"}


@pytest.mark.parametrize(
    "found, expected",
    [
        pytest.param(said("dask", "worker"), Said(0, 1, {}), id="nothing"),
        pytest.param(said("dask", "worker", "--nthreads", "4"), Said(4, 1, {}), id="threads"),
        pytest.param(said("dask", "worker", "--nthreads=4"), Said(4, 1, {}), id="with ="),
        pytest.param(said(command=["dask", "worker", "--nthreads", "4"]), Said(4, 1, {}), id="command"),
        pytest.param(said("--nthreads", "4", "--nworkers", "2"), Said(8, 2, {}), id="several workers"),
        pytest.param(said("--nprocs", "3"), Said(0, 3, {}), id="as it was called"),
        pytest.param(said("--nworkers", "auto"), Said(0, 1, {}), id="who knows how many"),
        pytest.param(said(limits={"cpu": "2"}), Said(2, 1, {}), id="processors"),
        pytest.param(said(limits={"cpu": 2}), Said(2, 1, {}), id="as a number"),
        pytest.param(said(limits={"cpu": "1500m"}), Said(2, 1, {}), id="parts of them"),
        pytest.param(said(limits={"cpu": "many"}), Said(0, 1, {}), id="nonsense"),
        pytest.param(said("--nthreads", "4", limits={"cpu": "2"}), Said(4, 1, {}), id="threads are said"),
        pytest.param(said(daskResources={"GPU": 1}), Said(0, 1, {"GPU": 1}), id="resources"),
        pytest.param(said("--resources", "GPU=1 MEM=2e9"), Said(0, 1, {"GPU": 1, "MEM": 2e9}), id="option"),
        pytest.param(said("--resources=GPU=1,SSD=x"), Said(0, 1, {"GPU": 1}), id="option with ="),
        pytest.param(said(env=[VARIABLE]), Said(0, 1, {"GPU": 2}), id="environment"),
        pytest.param(said(env=[{"name": "X", "valueFrom": {}}]), Said(0, 1, {}), id="other variables"),
        pytest.param(
            said("--resources", "GPU=1", daskResources={"GPU": 2}),
            Said(0, 1, {"GPU": 2}),
            id="the field wins",
        ),
        pytest.param(read(WorkerSpec.model_validate({"spec": {}})), Said(0, 1, {}), id="no container"),
    ],
)
def test_read(found, expected):
    assert found == expected
