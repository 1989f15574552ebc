"""What the behavioural tests stand on: the kinds, a namespace that a controller serves, jobs of any sort."""

import copy
from itertools import count
from pathlib import Path

import pytest
import yaml

from .world import Job, World

OBJECTS = yaml.safe_load(Path(__file__).with_name("objects.yaml").read_text())


@pytest.fixture(scope="module")
def world(kubectl, shared_controller):
    """The namespace that all tests of a file share; none touches what is another's."""
    with shared_controller.new_namespace() as namespace:
        yield World(kubectl, namespace)


@pytest.fixture
def alone(kubectl, namespace, crds):
    """A namespace of the test's own, with no controller yet."""
    return World(kubectl, namespace)


@pytest.fixture(scope="module")
def manifest():
    """A DaskJob that runs this Python code, under a name of its own."""
    numbers = count()

    def make(code, restart=None, image=None, name=None, **spec):
        runner = copy.deepcopy(OBJECTS["runner"])
        runner["containers"][0]["command"] = ["python", "-c", code]
        if restart:
            runner["restartPolicy"] = restart
        if "clusterName" not in spec:
            spec["cluster"] = {"spec": copy.deepcopy(OBJECTS["cluster"])}
            if image:
                spec["cluster"]["spec"]["scheduler"]["spec"]["containers"][0]["image"] = image
        return {
            "apiVersion": "kubernetes.dask.org/v1",
            "kind": "DaskJob",
            "metadata": {"name": name or f"job-{next(numbers)}", "annotations": {"example.org/note": "x"}},
            "spec": {"job": {"spec": runner}, **spec},
        }

    return make


@pytest.fixture(scope="module")
def start(world, manifest):
    """Apply such a DaskJob."""

    def begin(*args, **options):
        return Job(world, manifest(*args, **options))

    return begin


@pytest.fixture(scope="module")
def cluster():
    """A DaskCluster that no job made."""

    def make(name):
        spec = copy.deepcopy(OBJECTS["cluster"])
        return {
            "apiVersion": "kubernetes.dask.org/v1",
            "kind": "DaskCluster",
            "metadata": {"name": name},
            "spec": spec,
        }

    return make
