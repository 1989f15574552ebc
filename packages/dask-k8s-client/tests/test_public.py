"""What `import dask_k8s_client` gives, and what it does not load."""

import subprocess
import sys

import dask.config
import pytest

import dask_k8s_client

HEAVY = ("aiohttp", "distributed", "kubernetes", "pydantic", "rich")


@pytest.mark.parametrize("name", dask_k8s_client.__all__)
def test_has_what_it_says(name):
    assert getattr(dask_k8s_client, name).__name__ == name
    assert name in dir(dask_k8s_client)


def test_has_nothing_else():
    with pytest.raises(AttributeError, match=r"dask_k8s_client.*nothing_like_it"):
        dask_k8s_client.nothing_like_it  # noqa: B018


def test_sets_defaults():
    assert dask.config.get("kubernetes.image") == "ghcr.io/dask/dask:latest"


@pytest.mark.parametrize("module", ["dask_k8s_client", "dask_k8s_client.cli.main"])
def test_is_light(module):
    """The `dask` command loads both each time, whatever it is asked for."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert not {*HEAVY} & {*loaded.split()}
