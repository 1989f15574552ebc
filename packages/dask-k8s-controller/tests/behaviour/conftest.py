"""What the behavioural tests stand on: manifests, namespaces, controllers, a line to the API server."""

import contextlib
import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from .process import Controller
from .proxy import Proxy, serve
from .world import KUBECTL, Json, World

OBJECTS = yaml.safe_load(Path(__file__).with_name("objects.yaml").read_text())


def merged(base: Json, *changes: Json) -> Json:
    """A copy of ``base`` with the changes in it; lists are replaced."""
    result = copy.deepcopy(base)
    for change in changes:
        for key, value in change.items():
            inside = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if inside else copy.deepcopy(value)
    return result


def built(kind: str, name: str, changes: tuple[Json, ...], *, hold: bool) -> Json:
    manifest = merged(OBJECTS[kind], {"metadata": {"name": name}}, *changes)
    templates = [manifest["spec"][role] for role in ("scheduler", "worker") if role in manifest["spec"]]
    for template in templates if hold else ():
        template["spec"] |= OBJECTS["held"]
    return manifest


@pytest.fixture
def cluster() -> Callable[..., Json]:
    """A DaskCluster's manifest, with changes; ``hold`` its pods where no node has to run them."""
    return lambda name="demo", *changes, hold=False: built("cluster", name, changes, hold=hold)


@pytest.fixture
def group() -> Callable[..., Json]:
    """The same for a DaskWorkerGroup of the cluster ``demo``."""
    return lambda name="demo-more", *changes, hold=False: built("group", name, changes, hold=hold)


@pytest.fixture
def world(kubernetes, kubectl, namespace) -> World:
    """The test's own namespace."""
    return World(kubectl, kubernetes.kubeconfig, namespace)


@pytest.fixture
def another(kubernetes, kubectl, namespace) -> Iterator[Callable[[], World]]:
    """Make further namespaces."""
    made: list[str] = []

    def make() -> World:
        made.append(f"{namespace}-{len(made) + 2}")
        kubectl("create", "namespace", made[-1])
        kubectl("wait", "--for=create", "serviceaccount/default", "-n", made[-1], "--timeout=120s")
        return World(kubectl, kubernetes.kubeconfig, made[-1])

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="session")
def crds(kubernetes) -> None:
    """Dask's kinds, and nothing else of what the controller's manifests hold."""
    command = [sys.executable, "-m", "dask_k8s_controller", "manifests"]
    printed = yaml.safe_load_all(subprocess.check_output(command))
    kinds = [found for found in printed if found["kind"] == "CustomResourceDefinition"]
    environment = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
    for words in (("apply", "-f", "-"), ("wait", "--for=condition=Established", "-f", "-")):
        manifest = yaml.safe_dump_all(kinds)
        subprocess.run([KUBECTL, *words], check=True, env=environment, input=manifest, text=True)


@pytest.fixture
def run_controller(kubernetes, crds, world) -> Iterator[Callable[..., Controller]]:
    """Run controllers; they end well, and no reconcile of theirs meets a defect."""
    running: list[Controller] = []

    def run(
        *options: str,
        namespaces: tuple[str, ...] = (world.namespace,),
        kubeconfig: Path = kubernetes.kubeconfig,
        ready: bool = True,
    ) -> Controller:
        served = [word for name in namespaces for word in ("--namespace", name)]
        running.append(Controller(kubeconfig, *served, *options))
        running[-1].start(ready=ready)
        return running[-1]

    yield run
    for controller in running:
        code = controller.stop() if controller.process.poll() is None else 0
        log = "".join(controller.log)
        sys.stdout.write(log)  # shown with a test that failed
        assert code == 0
        assert "Traceback" not in log


@pytest.fixture
def controller(run_controller) -> Controller:
    """A controller that serves the test's namespace."""
    return run_controller()


@pytest.fixture
def proxy_as(kubernetes, tmp_path) -> Iterator[Callable[[str], Proxy]]:
    """A line to the API server as another user."""
    with contextlib.ExitStack() as stack:
        yield lambda user: stack.enter_context(
            serve(KUBECTL, kubernetes.kubeconfig, tmp_path, f"--as={user}")
        )


@pytest.fixture
def proxy(kubernetes, tmp_path) -> Iterator[Proxy]:
    """A line to the API server."""
    with serve(KUBECTL, kubernetes.kubeconfig, tmp_path) as proxy:
        yield proxy
