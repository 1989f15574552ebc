"""What the behavioural tests stand on: a controller with this plugin, a namespace of its own, real tasks."""

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dask_k8s_local.pytest_plugin import DEADLINE, NamespacedKubectl

OBJECTS = yaml.safe_load(Path(__file__).with_name("objects.yaml").read_text())
TASKS = """
import sys, time
from distributed import Client, as_completed

def work(place, seconds):
    time.sleep(seconds)
    return place

count, seconds, at_once, resource = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
with Client("tcp://127.0.0.1:8786") as client:
    asks = {"resources": dict.fromkeys(resource, 1)} if resource else {}
    options = dict(seconds=seconds, pure=False, **asks)
    running = as_completed(client.map(work, range(at_once), **options))
    total, place = 0, at_once
    for future in running:
        total += future.result()
        if place < count:
            running.add(client.submit(work, place, **options))
            place += 1
    print(total)
"""


class World(NamespacedKubectl):
    """A namespace as its user sees it."""

    kubectl = NamespacedKubectl.__call__

    def size(self, group="demo-default"):
        """How many workers a group is to have; None before there is one."""
        target = f"daskworkergroup/{group}"
        return self.get(target)["spec"]["worker"]["replicas"] if self.exists(target) else None

    def condition(self, kind="Active", autoscaler="demo"):
        conditions = self.get(f"daskautoscaler/{autoscaler}").get("status", {}).get("conditions", ())
        found = next((each for each in conditions if each["type"] == kind), None)
        return found and (found["status"], found["reason"])

    def until(self, holds):
        """Look until it holds; return what it gave."""
        return self.poll(holds, "daskautoscalers,daskworkergroups,pods")

    def up(self, *manifests):
        """Apply, and wait until the scheduler runs."""
        self.apply(*manifests)
        self.wait("pod/demo-scheduler", "create")
        self.wait("pod/demo-scheduler", "condition=Ready")

    @contextmanager
    def work(self, count, seconds, *resource, at_once=None):
        """Have so many tasks done, each so long, and so many at once; at the end all have been."""
        numbers = map(str, (count, seconds, at_once or count))
        command = ["exec", "demo-scheduler", "--", "python", "-c", TASKS, *numbers, *resource]
        with self.start(*command, stderr=subprocess.PIPE) as client:
            try:
                yield
                said, errors = client.communicate(timeout=DEADLINE)
            finally:
                client.kill()
        assert said.strip() == str(sum(range(count))), errors


@pytest.fixture
def world(request, kubectl):
    """The test's own namespace. Its controller is the test's, or else that of the session."""
    own = "controller" in request.fixturenames
    return World(kubectl, request.getfixturevalue("namespace" if own else "served_namespace"))


@pytest.fixture
def metrics(controller):
    """Return the metrics of the autoscaler."""

    def read():
        status, text = controller.health("/metrics")
        assert status == 200
        families = text_string_to_metric_families(text)
        return [each for each in families if each.name.startswith("dask_k8s_autoscaler_")]

    return read


@pytest.fixture
def cluster():
    """A DaskCluster ``demo`` that begins with so many workers."""

    def make(replicas=0, threads=1):
        manifest = json.loads(json.dumps(OBJECTS["cluster"]))
        worker = manifest["spec"]["worker"]
        worker["replicas"] = replicas
        args = worker["spec"]["containers"][0]["args"]
        args[args.index("--nthreads") + 1] = str(threads)
        return manifest

    return make


@pytest.fixture
def group():
    """A further DaskWorkerGroup of ``demo``, whose workers offer something."""

    def make(name, replicas=0, node_selector=None, **offers):
        worker = {**OBJECTS["cluster"]["spec"]["worker"], "replicas": replicas, "daskResources": offers}
        worker["spec"] = {**worker["spec"], "nodeSelector": node_selector or {}}
        return OBJECTS["group"] | {"metadata": {"name": name}, "spec": {"cluster": "demo", "worker": worker}}

    return make


@pytest.fixture
def autoscaler():
    """A DaskAutoscaler that acts quickly."""

    def make(name="demo", **spec):
        base = OBJECTS["autoscaler"]
        return base | {"metadata": {"name": name}, "spec": base["spec"] | spec}

    return make


@pytest.fixture
def label(world):
    """A node label of the test's own, and what puts it on all nodes; it goes with the test."""
    key = f"autoscaler.test/{world.namespace}"

    def put():
        world.kubectl("label", "nodes", "--all", f"{key}=yes")

    yield key, put
    world.kubectl("label", "nodes", "--all", f"{key}-")
