"""Code that was written for dask-kubernetes finds what it imports, or an error that says what to do."""

import importlib
import os
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import product

import pytest

import dask_k8s_client

OPERATOR = ("KubeCluster", "CreateMode", "make_cluster_spec", "make_scheduler_spec", "make_worker_spec")
EXCEPTIONS = ("CrashLoopBackOffError", "SchedulerStartupError", "ValidationError")
PATHS = [
    *product(["dask_kubernetes.operator", "dask_kubernetes.operator.kubecluster"], OPERATOR),
    *product(["dask_kubernetes.exceptions"], EXCEPTIONS),
]


@pytest.mark.parametrize("module, name", PATHS)
def test_is_the_clients(module, name):
    assert getattr(importlib.import_module(module), name) is getattr(dask_k8s_client, name)


def test_is_found_by_the_same_name():
    (discovery,) = entry_points(group="dask_cluster_discovery", name="kubecluster")
    assert importlib.import_module("dask_kubernetes.operator").discover is discovery.load()


@pytest.mark.parametrize("name", ["KubeCluster", "HelmCluster"])
def test_what_is_no_more(name):
    with pytest.raises(ImportError, match=r"use `from dask_kubernetes\.operator import KubeCluster`"):
        getattr(importlib.import_module("dask_kubernetes"), name)


def test_what_has_never_been():
    assert not hasattr(importlib.import_module("dask_kubernetes"), "nothing")


def test_beside_the_original(tmp_path):
    about = tmp_path / "dask_kubernetes-2025.7.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: dask-kubernetes\nVersion: 2025.7.0\n")
    done = subprocess.run(
        [sys.executable, "-c", "import dask_kubernetes.operator"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: dask-kubernetes 2025.7.0 and dask-k8s-compat are both installed")
    assert "pip uninstall dask-kubernetes" in last
