"""What tests of other projects' releases need: a Kubernetes with a controller, a user of one namespace."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import dask
import pytest

from dask_k8s_local.pytest_plugin import NamespacedKubectl

pytest_plugins = ["dask_k8s_controller.testing.fixtures"]

RECIPES = Path(__file__).parent.parent / "examples/works-with"
PATIENCE = 180
"""Seconds for the start of a cluster; the machine may be slow."""


@pytest.fixture
def here(kubectl, served_namespace, tmp_path, monkeypatch) -> NamespacedKubectl:
    """A namespace with a controller, in which the user of this process and of those that it starts works."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(kubectl.kubeconfig, kubeconfig)
    in_namespace = ("config", "set-context", "--current", f"--namespace={served_namespace}")
    kubectl("--kubeconfig", str(kubeconfig), *in_namespace)
    scripts = sysconfig.get_path("scripts")
    for name, value in {
        "KUBECONFIG": str(kubeconfig),
        "HOME": str(tmp_path),
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "DASK_KUBERNETES__RESOURCE_TIMEOUT": str(PATIENCE),
    }.items():
        monkeypatch.setenv(name, value)
    with dask.config.set({"kubernetes.resource-timeout": PATIENCE}):
        yield NamespacedKubectl(kubectl, served_namespace)


@pytest.fixture
def run(here):
    """`run("recipe.py")` runs a recipe and returns what it prints."""

    def ended(recipe, **environment):
        done = subprocess.run(
            [sys.executable, RECIPES / recipe],
            check=False,
            env={**os.environ, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return ended
