"""A pytest plugin: the option ``--update-golden``, golden files, and the controller as a process.

Name this module in ``pytest_plugins`` of the top ``conftest.py``; an entry point would make pytest import the
controller in every session of everybody who has it installed. Fixtures with a controller use ``kubernetes``,
``kubectl`` and ``namespace`` of dask-k8s-local.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dask_k8s_controller.testing.process import (
    ControllerProcess,
    SharedController,
    command_output,
    load_manifests,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """Compare a value with ``golden/NAME.json`` beside the test; with --update-golden, write that file."""

    def compare(name: str, value: Any) -> None:
        path = request.path.parent / "golden" / f"{name}.json"
        text = json.dumps(value, indent=2) + "\n"
        if request.config.getoption("update_golden"):
            path.write_text(text, encoding="utf-8")
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(text)  # noqa: S101

    return compare


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """The CRDs and RBAC of the controller and all installed plugins."""
    return load_manifests(command_output("manifests"))


@pytest.fixture(scope="session")
def crds(kubectl: Any, manifests: list[dict[str, Any]]) -> None:
    """Install the CRDs of the controller and all installed plugins."""
    # Older versions of kubectl accept no `---` between JSON documents.
    found = "\n".join(json.dumps(e) for e in manifests if e["kind"] == "CustomResourceDefinition")
    kubectl("apply", "-f", "-", input=found)
    kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", "-", input=found)


@pytest.fixture
def run_controller(
    kubernetes: Any,
    namespace: str,
    crds: None,  # noqa: ARG001
) -> Iterator[Callable[..., ControllerProcess]]:
    """Run controllers, by default for the test's namespace: ``run_controller("--leader-elect")``."""
    with ExitStack() as stack:

        def run(
            *options: str,
            namespaces: tuple[str, ...] = (namespace,),
            kubeconfig: Path = kubernetes.kubeconfig,
            ready: bool = True,
            python: str | Path = sys.executable,
        ) -> ControllerProcess:
            served = (f"--namespace={name}" for name in namespaces)
            controller = ControllerProcess(kubeconfig, *served, *options, python=python)
            controller.start(ready=ready)
            stack.push(controller)
            return controller

        yield run


@pytest.fixture
def controller(run_controller: Callable[..., ControllerProcess]) -> ControllerProcess:
    """A controller that serves the test's namespace, with all installed plugins."""
    return run_controller()


@pytest.fixture(scope="session")
def shared_controller(kubernetes: Any, kubectl: Any, crds: None) -> Iterator[SharedController]:  # noqa: ARG001
    """A controller for all tests of the session that do not stop it, count its requests or give it flags."""
    with SharedController(kubernetes.kubeconfig, kubectl) as controller:
        yield controller


@pytest.fixture
def served_namespace(shared_controller: SharedController) -> Iterator[str]:
    """The name of a new namespace, which the controller of the session serves."""
    with shared_controller.new_namespace() as name:
        yield name
