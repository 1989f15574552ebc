"""The controller with this plugin, as a process, on the local Kubernetes or that of `--kubeconfig`."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import yaml

CONTROLLER = (sys.executable, "-m", "dask_k8s_controller")


@pytest.fixture(scope="session")
def manifests() -> list[dict]:
    """What people apply before they run it: CRDs and RBAC."""
    done = subprocess.run([*CONTROLLER, "manifests"], check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def here(kubectl, namespace) -> Callable[..., str]:
    """Run kubectl in the test's namespace: what it prints."""
    return lambda *arguments, **options: kubectl("-n", namespace, *arguments, **options).stdout


@pytest.fixture
def crds(kubectl, manifests) -> None:
    """The kinds, ours and Dask's."""
    kinds = yaml.safe_dump_all(each for each in manifests if each["kind"] == "CustomResourceDefinition")
    kubectl("apply", "-f", "-", input=kinds)
    kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", "-", input=kinds)


@pytest.fixture
def controller(kubernetes, namespace, crds) -> Iterator[None]:
    """Run it; pytest shows what it says if a test fails."""
    command = [*CONTROLLER, "run", "--namespace", namespace]
    environment = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
    with subprocess.Popen(command, env=environment) as process:
        yield
        process.terminate()
