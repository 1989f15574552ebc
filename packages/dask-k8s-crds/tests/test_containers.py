"""Which container runs Dask: by command, then ports, then name."""

import pytest

from dask_k8s_crds.containers import command_line, dask_container, options, unidentified

SHIPPER = {"name": "log-shipper", "command": ["sh", "-c", "while true; do sleep 1; done"]}
PORTS = [{"name": "http-dashboard", "containerPort": 9000}]


def shell(line):
    return ["/bin/sh", "-c", line]


@pytest.mark.parametrize(
    "sidecar, main",
    [
        pytest.param(SHIPPER, {"name": "x", "args": ["dask", "worker"]}, id="arguments"),
        pytest.param(SHIPPER, {"name": "x", "command": ["dask-worker"]}, id="legacy"),
        pytest.param(SHIPPER, {"name": "x", "command": ["/opt/conda/bin/dask", "worker"]}, id="path"),
        pytest.param(SHIPPER, {"name": "x", "args": ["dask", "cuda", "worker"]}, id="cuda"),
        pytest.param(SHIPPER, {"name": "x", "args": ["dask-cuda-worker"]}, id="legacy-cuda"),
        pytest.param(
            SHIPPER, {"name": "x", "command": ["tini", "-g", "--"], "args": ["dask", "worker"]}, id="init"
        ),
        pytest.param(
            SHIPPER, {"name": "x", "command": ["python", "-m", "distributed.cli.dask_worker"]}, id="module"
        ),
        pytest.param(SHIPPER, {"name": "x", "command": shell("cd / && exec dask-worker -v")}, id="shell"),
        pytest.param(
            SHIPPER,
            {"name": "x", "command": ["bash", "-lc"], "args": ["source a;dask worker"]},
            id="shell-with-arguments",
        ),
        pytest.param(
            {"name": "worker", "ports": PORTS, "command": ["nginx"]},
            {"name": "x", "args": ["dask", "worker"]},
            id="command-before-ports-and-name",
        ),
        pytest.param(
            {"name": "worker", "command": ["nginx"]}, {"name": "x", "ports": PORTS}, id="ports-before-name"
        ),
        pytest.param(SHIPPER, {"name": "x", "ports": [{"containerPort": 8787}]}, id="number-of-a-port"),
        pytest.param(SHIPPER, {"name": "my-worker"}, id="end-of-the-name"),
        pytest.param({"name": "not-the-worker"}, {"name": "worker"}, id="whole-name"),
        pytest.param(
            {"name": "exporter", "args": ["--process", "dask-worker"]},
            {"name": "worker"},
            id="value-of-an-option",
        ),
        pytest.param(
            {"name": "probe", "command": shell('until pgrep -f "dask worker"; do sleep 1; done')},
            {"name": "worker", "command": shell("exec dask worker")},
            id="both-in-a-shell",
        ),
        pytest.param(
            {"name": "scheduler", "args": ["dask", "scheduler"]},
            {"name": "x", "args": ["dask", "worker"]},
            id="another-program-of-dask",
        ),
    ],
)
def test_wherever_it_stands(sidecar, main):
    assert dask_container({"containers": [sidecar, main]}, "worker") is main
    assert dask_container({"containers": [main, sidecar]}, "worker") is main
    assert unidentified({"containers": [sidecar, main]}, "worker", "spec.worker.spec") is None


def test_the_only_one_is_it():
    spec = {"containers": [SHIPPER]}
    assert dask_container(spec, "worker") is SHIPPER
    assert unidentified(spec, "worker", "spec.worker.spec") is None


def test_the_first_of_several_where_nothing_shows_it_and_a_message_that_says_so():
    spec = {"containers": [SHIPPER, {"name": "main", "image": "x"}]}
    assert dask_container(spec, "scheduler") is SHIPPER
    assert unidentified(spec, "scheduler", "spec.scheduler.spec") == (
        "spec.scheduler.spec: none of its 2 containers runs `dask scheduler`, has a port named "
        'http-dashboard or tcp-comm, or has a name that ends in "scheduler". The first one, "log-shipper", '
        'is treated as the one that runs Dask: name the one that does "scheduler"'
    )


def test_a_long_name_is_cut():
    spec = {"containers": [{"name": "x" * 10_000}, {"name": "y"}]}
    assert len(unidentified(spec, "worker", "spec.worker.spec")) < 400


@pytest.mark.parametrize(
    "container, expected",
    [
        pytest.param({"args": ["a", "b c"]}, ["a", "b c"], id="arguments-with-spaces-stay"),
        pytest.param(
            {"command": shell("cd /&&X=\"a b\" exec 'dask'  worker; (true)")},
            ["/bin/sh", "-c", "cd", "/", "X=a b", "exec", "dask", "worker", "true"],
            id="shell",
        ),
        pytest.param({"command": ["sh", "-c"], "args": ["a 'b"]}, ["sh", "-c", "a", "b"], id="open-quote"),
        pytest.param({"args": [1, None]}, ["1", "None"], id="not-text"),
        pytest.param({}, [], id="none"),
    ],
)
def test_command_line(container, expected):
    assert command_line(container) == expected


def test_options_in_a_shell_line():
    container = {"command": shell("dask worker --nthreads 2 --resources='GPU=1 MEM=2' --no-nanny")}
    assert options(container) == {"--nthreads": "2", "--resources": "GPU=1 MEM=2", "--no-nanny": ""}


def test_the_work_is_bounded():
    """A command of a megabyte is read in part."""
    assert sum(map(len, command_line({"args": ["x" * 1000] * 1000}))) == 2**14
    assert sum(map(len, command_line({"command": shell("'\"" * 2**20)}))) < 2**14
