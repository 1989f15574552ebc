"""What the behavioural tests stand on: a controller with this plugin, a namespace of its own, real tasks."""

import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

DEADLINE = 120
"""Seconds for anything that is awaited."""
KUBECTL = shutil.which("kubectl", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
OBJECTS = yaml.safe_load(Path(__file__).with_name("objects.yaml").read_text())
TASKS = """
import sys, time
from distributed import Client

def work(place, seconds):
    time.sleep(seconds)
    return place

count, seconds, resource = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
with Client("tcp://127.0.0.1:8786") as client:
    asks = {"resources": dict.fromkeys(resource, 1)} if resource else {}
    futures = client.map(work, range(count), seconds=seconds, pure=False, **asks)
    print(sum(client.gather(futures)))
"""


class World:
    """A namespace as its user sees it."""

    def __init__(self, kubectl, kubeconfig, namespace, health):
        self._kubectl = kubectl
        self._kubeconfig = kubeconfig
        self._health = health
        self.namespace = namespace

    def metrics(self):
        """What the controller tells Prometheus of the autoscaler."""
        with urllib.request.urlopen(f"http://{self._health}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return [each for each in families if each.name.startswith("dask_k8s_autoscaler_")]

    def kubectl(self, *words, **options):
        return self._kubectl(*words, "-n", self.namespace, **options).stdout

    def apply(self, *manifests):
        return self.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(manifests))

    def get(self, target):
        return json.loads(self.kubectl("get", target, "-o", "json"))

    def wait(self, target, what):
        self.kubectl("wait", target, f"--for={what}", f"--timeout={DEADLINE}s")

    def patch(self, target, change):
        self.kubectl("patch", target, "--type=merge", "-p", json.dumps(change))

    def size(self, group="demo-default"):
        """How many workers a group is to have; None before there is one."""
        found = self.kubectl("get", f"daskworkergroup/{group}", "--ignore-not-found", "-o", "json")
        return json.loads(found)["spec"]["worker"]["replicas"] if found else None

    def condition(self, kind="Active", autoscaler="demo"):
        conditions = self.get(f"daskautoscaler/{autoscaler}").get("status", {}).get("conditions", ())
        found = next((each for each in conditions if each["type"] == kind), None)
        return found and (found["status"], found["reason"])

    def until(self, holds):
        """Look until it holds; return what it gave."""
        deadline = time.monotonic() + DEADLINE
        while not (found := holds()):
            if time.monotonic() > deadline:
                pytest.fail(self.kubectl("get", "daskautoscalers,daskworkergroups,pods", "-o", "wide"))
            time.sleep(0.2)
        return found

    def up(self, *manifests):
        """Apply, and wait until the scheduler runs."""
        self.apply(*manifests)
        self.wait("pod/demo-scheduler", "create")
        self.wait("pod/demo-scheduler", "condition=Ready")

    @contextmanager
    def work(self, count, seconds, *resource):
        """Have so many tasks done, each so long; at the end all have been."""
        command = [KUBECTL, "exec", "-n", self.namespace, "demo-scheduler", "--", "python", "-c", TASKS]
        words = [*command, str(count), str(seconds), *resource]
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig)}
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment) as client:
            try:
                yield
                said, errors = client.communicate(timeout=DEADLINE)
            finally:
                client.kill()
        assert said.strip() == str(sum(range(count))), errors


@pytest.fixture(scope="session")
def crds(kubernetes):
    """The kinds of all plugins that are installed."""
    printed = subprocess.check_output([sys.executable, "-m", "dask_k8s_controller", "manifests"])
    found = [each for each in yaml.safe_load_all(printed) if each["kind"] == "CustomResourceDefinition"]
    environment = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
    for words in (("apply", "-f", "-"), ("wait", "--for=condition=Established", "-f", "-")):
        manifest = yaml.safe_dump_all(found)
        subprocess.run([KUBECTL, *words], check=True, env=environment, input=manifest, text=True)


@pytest.fixture
def world(kubernetes, kubectl, namespace, crds):
    """The test's own namespace, which a controller serves."""
    health = "127.{}.{}.{}:9440".format(*(random.randrange(64, 255) for _ in range(3)))
    options = ["--namespace", namespace, "--health-address", health]
    command = [sys.executable, "-m", "dask_k8s_controller", "run", *options]
    environment = {**os.environ, "KUBECONFIG": str(kubernetes.kubeconfig)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        log = []
        for line in process.stderr:
            log.append(line)
            if "Ready" in line:
                break
        else:
            pytest.fail("".join(log))
        reader = threading.Thread(target=log.extend, args=(process.stderr,))
        reader.start()
        yield World(kubectl, kubernetes.kubeconfig, namespace, health)
        process.terminate()
        reader.join()
    sys.stdout.write("".join(log))  # shown with a test that failed
    assert process.returncode == 0
    assert "Traceback" not in "".join(log)


@pytest.fixture
def cluster():
    """A DaskCluster ``demo`` that begins with so many workers."""

    def make(replicas=0):
        manifest = json.loads(json.dumps(OBJECTS["cluster"]))
        manifest["spec"]["worker"]["replicas"] = replicas
        return manifest

    return make


@pytest.fixture
def group():
    """A further DaskWorkerGroup of ``demo``, whose workers offer something."""

    def make(name, replicas=0, **offers):
        worker = {**OBJECTS["cluster"]["spec"]["worker"], "replicas": replicas, "daskResources": offers}
        return OBJECTS["group"] | {"metadata": {"name": name}, "spec": {"cluster": "demo", "worker": worker}}

    return make


@pytest.fixture
def autoscaler():
    """A DaskAutoscaler that acts quickly."""

    def make(name="demo", **spec):
        base = OBJECTS["autoscaler"]
        return base | {"metadata": {"name": name}, "spec": base["spec"] | spec}

    return make
