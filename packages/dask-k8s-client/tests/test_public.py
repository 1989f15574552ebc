"""The public API, what its import does not load, and the documented dependencies."""

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import dask.config
import pytest

import dask_k8s_client

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", dask_k8s_client.__all__)
def test_has_what_it_says(name):
    assert getattr(dask_k8s_client, name).__name__ == name
    assert name in dir(dask_k8s_client)


def test_has_nothing_else():
    with pytest.raises(AttributeError, match=r"dask_k8s_client.*nothing_like_it"):
        dask_k8s_client.nothing_like_it  # noqa: B018


def test_sets_defaults():
    assert dask.config.get("kubernetes.image") == "ghcr.io/dask/dask:latest"


def loaded(code):
    """Return the third-party packages that Python has imported after running the code."""
    program = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()} - sys.stdlib_module_names


@pytest.mark.parametrize("module", ["dask_k8s_client", "dask_k8s_client.cli.main"])
def test_is_light(module):
    """The `dask` command always imports both, so they import nothing that it has not imported itself."""
    dask_command = loaded("import dask.cli, dask.config, importlib.resources")
    assert loaded(f"import dask.cli, {module}") - dask_command == {"dask_k8s_client"}


@pytest.mark.parametrize(
    "name, absent",
    [
        pytest.param("make_cluster_spec", {"aiohttp", "distributed", "kubernetes", "rich"}, id="specs"),
        pytest.param("KubeCluster", {"kubernetes"}, id="KubeCluster"),
    ],
)
def test_what_is_loaded_later(name, absent):
    """The `kubernetes` package takes longest to import by far; the first request imports it."""
    assert not loaded(f"from dask_k8s_client import {name}") & absent


def test_what_comes_with_it_is_listed():
    always = [each for each in requires("dask-k8s-client") if "extra ==" not in each]
    needed = {re.match(r"[\w.-]+", each)[0] for each in always}
    listed = re.findall(r"^\| `([\w.-]+)` \| [\d.]+ \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(needed)
