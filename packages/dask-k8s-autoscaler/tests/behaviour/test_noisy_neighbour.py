"""One namespace does the worst that its users can; clusters of another namespace live as before."""

import contextlib
import json
import threading

import pytest

from dask_k8s_local.pytest_plugin import RequestError

HELD = {"schedulingGates": [{"name": "tests.dask.org/held"}]}
"""In the spec of pods that no node is to run."""
API_RATE = 40
"""Writes per second, so that the pods of the large group wait for their turn throughout the test."""
LARGE_GROUP = 450
ROUNDS = 5
CLASSES = 40_000
# A scheduler whose answers have few bytes and many elements, each of another kind.
SCHEDULER = f"""
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AMOUNTS = [{{f"r{{number}}": 1.0}} for number in range({CLASSES})]
WAITING = [{{"resources": amounts, "tasks": 1, "seconds": 1.0}} for amounts in AMOUNTS]
DEMAND = {{"target_duration": 1.0, "idle_seconds": None, "loads": [], "waiting": WAITING}}
ANSWER = json.dumps(DEMAND, separators=(",", ":")).encode()

class Agent(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    do_POST = do_GET

ThreadingHTTPServer(("0.0.0.0", 8787), Agent).serve_forever()
"""


@pytest.fixture
def quiet(kubectl, namespace):
    """The namespace whose clusters live as before."""
    return kubectl.within(namespace)


@pytest.fixture
def noisy(kubectl):
    """The namespace beside it."""
    with kubectl.new_namespace() as here:
        yield here


def held(manifest, name, **worker):
    """A cluster whose pods do not run."""
    changed = json.loads(json.dumps(manifest))
    changed["metadata"]["name"] = name
    changed["spec"]["scheduler"]["spec"] |= HELD
    changed["spec"]["worker"] |= worker
    changed["spec"]["worker"]["spec"] |= HELD
    return changed


def live(world, manifest):
    """Create a cluster, give it more workers, then fewer, and delete it."""
    world.apply(manifest)
    world.until("pods", lambda pods: len(pods) == 2)
    for replicas, pods in ((3, 4), (1, 2)):
        world.patch("daskworkergroup/demo-default", {"spec": {"worker": {"replicas": replicas}}})
        world.until("pods", lambda found, pods=pods: len(found) == pods)
    world("delete", "daskcluster/demo")
    world.until("pods", lambda pods: not pods)


@contextlib.contextmanager
def repeatedly(act):
    """Do something again and again in a thread."""
    ended, failures = threading.Event(), []

    def run():
        while not ended.wait(0.2):
            try:
                act()
            except RequestError:
                continue  # what it acts on has been deleted meanwhile
            except BaseException as error:
                failures.append(error)
                raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not failures


def stranger(name, failures, owner=None):
    """A pod that has the labels of a worker and has no cluster in its namespace."""
    labels = {"dask.org/cluster-name": "demo", "dask.org/component": "scheduler"}
    metadata = {"name": name, "labels": labels, "annotations": {"kubernetes.dask.org/failures": failures}}
    if owner is not None:
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
        identity = {field: owner["metadata"][field] for field in ("name", "uid")}
        metadata["ownerReferences"] = [reference | identity]
    spec = {**HELD, "containers": [{"name": "worker", "image": "ghcr.io/dask/dask:latest"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_another_namespace_goes_on(quiet, noisy, run_controller, cluster, autoscaler):
    controller = run_controller(
        "--leader-elect",
        f"--lease-namespace={quiet.namespace}",
        f"--api-rate={API_RATE}",
        namespaces=(quiet.namespace, noisy.namespace),
    )
    controller.wait_for_log("Leader: acquired the lease")
    lease = quiet.get("leases")["items"][0]["spec"]
    hostile = cluster()
    hostile["metadata"]["name"] = "hostile"
    [container] = hostile["spec"]["scheduler"]["spec"]["containers"]
    del container["args"]
    container["command"] = ["python", "-c", SCHEDULER]
    noisy.apply(hostile, autoscaler(name="hostile", cluster="hostile"))
    noisy.wait("pod/hostile-scheduler", "condition=Ready")
    huge = held(cluster(), "huge", replicas=500)
    [container] = huge["spec"]["worker"]["spec"]["containers"]
    container["env"] = [{"name": "LARGE", "value": "x" * 1_100_000}]
    noisy("create", "-f", "-", input=json.dumps(huge))
    noisy.apply(*(stranger(f"stranger-{number}", "9" * 4301) for number in range(20)))
    noisy.apply(held(cluster(), "large", replicas=LARGE_GROUP))
    noisy.wait("daskworkergroup/large-default", "create")
    count = 0

    def steal():
        """Own a pod by the cluster of the other namespace."""
        nonlocal count
        for owner in quiet.get("daskclusters")["items"]:
            count += 1
            owner |= {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskCluster"}
            noisy.apply(stranger(f"thief-{count}", "1", owner))

    unhealthy = []

    def look():
        status, text = controller.health("/livez")
        if status != 200:
            unhealthy.append(text)

    with repeatedly(steal), repeatedly(look):
        for _ in range(ROUNDS):
            live(quiet, held(cluster(1), "demo"))
        created = len(noisy.all("pods", "dask.org/cluster-name=large"))
    assert count > 0
    assert created > 0, "the large group has begun"
    assert unhealthy == []
    assert quiet.get("leases")["items"][0]["spec"]["leaseTransitions"] == lease["leaseTransitions"]
    assert not any("Lost the lease" in line for line in controller.log)
