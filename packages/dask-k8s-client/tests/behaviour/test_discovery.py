"""Discovery of clusters by dask-ctl."""

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points

import click
import pytest

from dask_k8s_client import KubeCluster
from dask_k8s_client.discovery import Finder

from .conftest import DEADLINE, PATH

UV = shutil.which("uv", path=PATH)
# The last release of dask-ctl, the versions that it still works with, and what it demands without using it.
DASK_CTL = ("dask-ctl==2024.1.0", "dask==2026.3.0", "distributed==2026.3.0", "setuptools<81", "numpy")


@pytest.fixture
def discover():
    """The entry point that `dask-ctl` uses."""
    (entry,) = entry_points(group="dask_cluster_discovery", name="kubecluster")
    return entry.load()


@pytest.fixture
def dask_cluster(tmp_path, kubeconfig):
    """Return the output of `dask cluster …` in an environment with dask-ctl.

    Whatever it does not pin comes from the environment of the tests.
    """
    python = tmp_path / "venv/bin/python"
    for args in (
        ("venv", "--python", sys.executable, tmp_path / "venv"),
        ("pip", "install", "--python", python, "--no-deps", *DASK_CTL),
    ):
        # From the cache, or else from the index.
        if subprocess.run([UV, *args, "--offline"], check=False, capture_output=True).returncode:
            subprocess.run([UV, *args], check=True, capture_output=True)
    (site,) = tmp_path.glob("venv/lib/python*/site-packages")
    (site / "tests.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")

    def run(*args):
        done = subprocess.run(
            [tmp_path / "venv/bin/dask", "cluster", *args],
            check=False,
            env={**os.environ, "COLUMNS": "200"},
            text=True,
            capture_output=True,
            timeout=DEADLINE,
        )
        said = done.stdout + done.stderr
        if "kubecluster timed out" in said:  # dask-ctl gives it 5 s, imports included
            return run(*args)
        assert done.returncode == 0, said
        return done.stdout

    return run


@pytest.mark.core
async def test_found_and_connected_to(discover, here, standing):
    async with KubeCluster.from_name(standing, namespace=here, asynchronous=True) as cluster:
        places = [place async for name, place in discover() if name == standing]
        (there,) = (place for place in places if place.namespace == here)
        async with there.from_name(standing, asynchronous=True) as again:
            assert again == cluster
            assert again.scheduler_info["id"] == cluster.scheduler_info["id"]


async def test_without_a_kubernetes(discover, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert [each async for each in discover()] == []


def test_dask_ctl(login, make, kube, dask_cluster):
    """As a user with access to one namespace: dask-ctl connects to all clusters that it finds."""
    make("by-ctl", n_workers=0)
    assert "by-ctl" in dask_cluster("list", "kubecluster")
    dask_cluster("scale", "by-ctl", "1")
    assert kube.get("daskworkergroup/by-ctl-default")["spec"]["worker"]["replicas"] == 1
    dask_cluster("delete", "by-ctl")
    assert not kube.exists("daskcluster/by-ctl")


def test_dask_ctl_deletes_none_of_two():
    """dask-ctl has no namespaces."""

    def delete():
        Finder("mine", ("yours",)).from_name("work")

    delete.__module__ = "dask_ctl.cli"
    command = click.Command("delete", callback=delete)
    with command.make_context("delete", []) as context, pytest.raises(ValueError, match="mine, yours"):
        command.invoke(context)
