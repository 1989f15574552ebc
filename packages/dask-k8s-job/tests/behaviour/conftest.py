"""What the behavioural tests stand on: the kinds, a namespace that a controller serves, jobs of any sort."""

import copy
import os
import subprocess
import uuid
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import yaml

from .world import CONTROLLER, KUBECTL, Job, World

OBJECTS = yaml.safe_load(Path(__file__).with_name("objects.yaml").read_text())


@pytest.fixture(scope="session")
def environment(kubernetes):
    """Where kubectl and controllers find the kinds of all plugins that are installed."""
    environment = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
    printed = subprocess.check_output([*CONTROLLER, "manifests"])
    found = [each for each in yaml.safe_load_all(printed) if each["kind"] == "CustomResourceDefinition"]
    for words in (("apply", "-f", "-"), ("wait", "--for=condition=Established", "-f", "-")):
        manifest = yaml.safe_dump_all(found)
        subprocess.run([KUBECTL, *words], check=True, env=environment, input=manifest, text=True)
    return environment


@contextmanager
def fresh(environment):
    """A namespace, and a controller for it."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    world = World(environment, name)
    world.kubectl("create", "namespace", name)
    # Pods are refused before their service account is there.
    world.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=120s")
    try:
        yield world
    finally:
        world.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def world(environment):
    """The namespace that all tests of a file share; none touches what is another's."""
    with fresh(environment) as world, world.controller():
        yield world


@pytest.fixture
def alone(environment):
    """A namespace of the test's own, with no controller yet."""
    with fresh(environment) as world:
        yield world


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

    def begin(*words, **options):
        return Job(world, manifest(*words, **options))

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
