"""What to do about well-known ways in which containers end."""

import pytest

from dask_k8s_crds.hints import hint

SHELL = {"command": ["/bin/sh", "-c"], "args": ["cd / && exec dask-worker --nthreads 1"]}
IDLE = {"args": ["dask", "scheduler", "--idle-timeout", "60"]}
MODULE = "ModuleNotFoundError: No module named 'xgboost.dask'\n"


@pytest.mark.parametrize(
    "container, code, output, expected",
    [
        pytest.param(SHELL, 127, "", 'write "dask worker" instead', id="in-a-shell-line"),
        pytest.param({"args": ["dask-scheduler"]}, 128, "", 'write "dask scheduler" instead', id="kept"),
        pytest.param({"args": ["/bin/dask-worker"]}, 127, "", 'write "dask worker" instead', id="path"),
        pytest.param({"args": ["other"]}, 127, "", "correct the command", id="another-command"),
        pytest.param(IDLE, 0, "", "set spec.idleTimeout of the DaskCluster", id="idle"),
        pytest.param({"args": [*IDLE["args"][:2], "--idle-timeout=1h"]}, 0, "", "spec.idleTimeout", id="="),
        pytest.param({}, 1, MODULE, 'Python module "xgboost.dask": add it', id="module"),
        pytest.param({}, None, MODULE, 'Python module "xgboost.dask": add it', id="unknown-code"),
    ],
)
def test_what_to_do(container, code, output, expected):
    assert expected in hint(container, code, output)


@pytest.mark.parametrize(
    "container, code, output",
    [
        pytest.param(SHELL, 1, "", id="another-end-of-a-removed-command"),
        pytest.param(IDLE, 1, "", id="another-end-with-the-option"),
        pytest.param({"args": ["dask", "worker", "--idle-timeout", "1"]}, 0, "", id="a-worker"),
        pytest.param({}, 0, MODULE, id="success"),
        pytest.param({}, 137, "", id="no-hint"),
    ],
)
def test_nothing_where_it_is_not_known(container, code, output):
    assert hint(container, code, output) == ""


def test_nothing_unbounded_of_an_output_gets_in():
    assert len(hint({}, 1, f"No module named '{'x' * 10_000}'")) < 200
    assert hint({}, 1, "No module named 'x'" + " " * 2**20) == ""
    assert "<" not in hint({}, 1, "No module named '<script>'")
