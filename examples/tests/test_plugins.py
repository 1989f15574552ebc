"""Plugins work once they are installed beside the controller, in an environment that has nothing else."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent
HANDLERS, TEMPLATE = EXAMPLES / "plugin-of-handlers", EXAMPLES / "plugin-template"
PACKAGES = EXAMPLES.parent / "packages"
UV = shutil.which("uv", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")

CLUSTER = """
apiVersion: kubernetes.dask.org/v1
kind: DaskCluster
metadata: {name: my-cluster}
spec:
  scheduler:
    spec: &sleeping
      terminationGracePeriodSeconds: 1
      containers: [{name: dask, image: "ghcr.io/dask/dask:latest", command: [sleep, infinity]}]
    service:
      ports: [{name: tcp-comm, port: 8786}, {name: http-dashboard, port: 8787}]
  worker: {replicas: 1, spec: *sleeping}
"""


def uv(*args: str | Path) -> None:
    """Run uv with what it has downloaded before, or else with a package index."""
    if subprocess.run([UV, *args, "--quiet", "--offline"], check=False, capture_output=True).returncode:
        subprocess.run([UV, *args, "--quiet"], check=True)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory) -> Path:
    """What the index would have: the controller, what it and tests of plugins need of ours, the examples."""
    folder = tmp_path_factory.mktemp("wheels")
    packages = (PACKAGES / f"dask-k8s-{name}" for name in ("crds", "controller", "local"))
    for source in (*packages, HANDLERS, TEMPLATE):
        uv("build", "--wheel", "--out-dir", folder, source)
    return folder


@pytest.fixture(scope="module")
def installed(wheels, tmp_path_factory) -> Callable[..., Path]:
    """The Python of a new environment that has these distributions, by name or as a folder."""

    def install(*distributions: str | Path) -> Path:
        folder = tmp_path_factory.mktemp("environment") / "venv"
        uv("venv", "--python", sys.executable, folder)
        python = folder / "bin" / "python"
        uv("pip", "install", "--python", python, "--find-links", wheels, *distributions)
        return python

    return install


@pytest.fixture(scope="module")
def broken(installed, tmp_path_factory) -> Path:
    """The Python of an environment with the controller and a plugin that raises when it is imported."""
    folder = tmp_path_factory.mktemp("broken-plugin")
    (folder / "broken.py").write_text('raise RuntimeError("there is no licence")\n')
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "broken-plugin"\nversion = "1.0"\n'
        '[project.entry-points.dask_operator_plugin]\ncracked = "broken"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[tool.hatch.build.targets.wheel]\ninclude = ["broken.py"]\n'
    )
    return installed("dask-k8s-controller", folder)


@pytest.mark.core
def test_a_module_of_handlers(installed, shell, controller, namespace):
    python = installed("dask-k8s-controller", "my-controller-plugin")
    listed = shell(f"{python} -m dask_k8s_controller plugins")
    assert "my_controller_plugin  my-controller-plugin 1.0  handlers  my_controller_plugin.plugin\n" in listed
    manifests = f"{python} -m dask_k8s_controller manifests"
    said = 'plugin "my_controller_plugin" is a module of handlers and declares no permissions'
    assert said not in shell(manifests)
    assert said in shell(f"{manifests} --skip-plugin my_controller_plugin_rights")

    controller(python)
    shell("kubectl apply -f -", stdin=CLUSTER)
    hostname = r"{.metadata.annotations.external-dns\.alpha\.kubernetes\.io/hostname}"
    shell("kubectl wait daskcluster my-cluster --for=condition=Ready --timeout=240s")
    host = f"my-cluster.{namespace}.example.org"
    shell(f"kubectl wait service my-cluster-scheduler '--for=jsonpath={hostname}={host}' --timeout=240s")


@pytest.mark.alone  # its kind bears a fixed name
def test_the_template(wheels, installed, shell, kubernetes, tmp_path):
    """As whoever copies it has it: installed, listed, tried by its own tests."""
    copy = tmp_path / "copy"
    shutil.copytree(TEMPLATE, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    python = installed("dask-dashboard", "--group", copy / "pyproject.toml:test")
    listed = shell(f"{python} -m dask_k8s_controller plugins")
    assert "dask-dashboard  dask-dashboard 1.0  plugin  dask_dashboard.plugin:PLUGIN\n" in listed
    assert "    reconciles daskdashboards.example.org\n" in listed
    printed = shell(f"{python} -m dask_k8s_controller manifests")
    for text in ("name: daskdashboards.example.org\n", "- daskdashboards/status\n", "- daskdashboards\n"):
        assert text in printed

    here = "" if kubernetes.is_local else f"--kubeconfig {kubernetes.kubeconfig}"
    assert " passed" in shell(f"{python} -m pytest {copy} {here}")
    if not kubernetes.is_local:
        shell("kubectl delete crd daskdashboards.example.org")


@pytest.mark.parametrize("command", ["run", "plugins", "manifests"])
def test_one_that_does_not_load_stops_the_start(command, broken, shell):
    assert shell(f"{broken} -m dask_k8s_controller {command}", fails=True) == (
        'Error: plugin "cracked" of distribution "broken-plugin": RuntimeError: there is no licence; '
        "fix or uninstall it, or start with --skip-plugin cracked\n"
    )


def test_one_that_does_not_load_can_be_skipped(broken, shell):
    listed = shell(f"{broken} -m dask_k8s_controller plugins --skip-plugin cracked")
    assert listed.startswith("dask-k8s-controller ")
    assert "cracked" not in listed
