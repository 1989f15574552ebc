"""What the behavioural tests stand on: manifests, namespaces, controllers, a line to the API server."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from .proxy import Proxy, serve
from .world import Json, World

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
def world(request, kubectl) -> World:
    """The test's own namespace. Its controller is the test's, or else that of the session."""
    own = "run_controller" in request.fixturenames
    return World(kubectl, request.getfixturevalue("namespace" if own else "served_namespace"))


@pytest.fixture
def another(kubectl) -> Iterator[Callable[[], World]]:
    """Make further namespaces."""
    with contextlib.ExitStack() as stack:
        yield lambda: World(kubectl, stack.enter_context(kubectl.new_namespace()).namespace)


@pytest.fixture
def proxy_as(kubectl, tmp_path) -> Iterator[Callable[[str], Proxy]]:
    """A line to the API server as another user."""
    with contextlib.ExitStack() as stack:
        yield lambda user: stack.enter_context(serve(kubectl, tmp_path, f"--as={user}"))


@pytest.fixture
def proxy(kubectl, tmp_path) -> Iterator[Proxy]:
    """A line to the API server."""
    with serve(kubectl, tmp_path) as proxy:
        yield proxy
