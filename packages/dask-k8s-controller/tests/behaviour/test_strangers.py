"""Objects of another tenant, or with odd content: they change nothing for a cluster in another namespace."""

import json
from collections.abc import Iterator

import pytest

from dask_k8s_crds import labels

from .world import World, uids

# Anybody who asks it for something is named in its log.
SERVER = ["python", "-u", "-m", "http.server", "8787"]


def pod(name, component, *, command=("sleep", "infinity"), **metadata):
    own = {labels.CLUSTER_NAME: "demo", labels.COMPONENT: component}
    container = {"name": "dask", "image": "ghcr.io/dask/dask:latest", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": own, **metadata},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container | {"imagePullPolicy": "IfNotPresent"}],
        },
    }


def nested(levels, inner="0"):
    """A JSON text of arrays in each other."""
    return "[" * levels + inner + "]" * levels


@pytest.fixture
def stranger(world, another, run_controller) -> World:
    """Another namespace; one controller serves both."""
    other = another()
    run_controller(namespaces=(world.namespace, other.namespace))
    return other


def claim(stranger, name, owner):
    """Make a pod name an object in another namespace as its controller, and one that keeps it alive."""
    metadata = owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    reference |= {"name": metadata["name"], "uid": metadata["uid"]}
    keeper = stranger.get("configmap/keeper")["metadata"]
    alive = {"apiVersion": "v1", "kind": "ConfigMap", "name": "keeper", "uid": keeper["uid"]}
    stranger.patch(f"pod/{name}", {"metadata": {"ownerReferences": [reference, alive]}})


@pytest.mark.core
def test_a_pod_with_4301_digits_ends_no_controller(world, stranger, cluster):
    annotations = {labels.FAILURES: "9" * 4301}
    odd = pod("odd", "worker", annotations=annotations) | {
        "spec": {"containers": [{"name": "x", "image": "x"}]}
    }
    odd["spec"]["schedulingGates"] = [{"name": "tests.dask.org/held"}]
    world.apply(odd)
    stranger.apply(odd)
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    world.patch("pod/odd", {"metadata": {"labels": {"changed": "yes"}}})
    world.scale("daskworkergroup/demo-default", 3)
    world.workers("demo-default", 3, ready=False)


@pytest.mark.core
def test_pods_elsewhere_that_claim_a_cluster_and_its_group(world, stranger, cluster):
    """They are older than the real ones, have the same names and answer as an agent would."""
    stranger.kubectl("create", "configmap", "keeper")
    stranger.apply(pod("demo-scheduler", "scheduler", command=SERVER), pod("demo-worker", "worker"))
    for name in ("demo-scheduler", "demo-worker"):
        stranger.wait(f"pod/{name}", "condition=Ready")
    world.apply(cluster())
    workers = world.workers("demo-default", 2)
    world.wait("daskcluster/demo", "condition=Ready")
    scheduler = uids([world.get("pod/demo-scheduler")])

    claim(stranger, "demo-scheduler", world.get("daskcluster/demo"))
    claim(stranger, "demo-worker", world.get("daskworkergroup/demo-default"))
    world.scale("daskworkergroup/demo-default", 3)
    more = world.workers("demo-default", 3)
    assert workers < more
    world.scale("daskworkergroup/demo-default", 1)
    assert world.workers("demo-default", 1) < more
    world.condition("daskworkergroup/demo-default", "Ready", "WorkersReady")
    assert uids([world.get("pod/demo-scheduler")]) == scheduler
    assert stranger.names("pods") == {"demo-scheduler", "demo-worker"}
    assert "dask-k8s" not in stranger.kubectl("logs", "demo-scheduler")


@pytest.mark.alone  # clients of other tests list the pods of all namespaces, and cannot read JSON so deep
@pytest.mark.usefixtures("deep_objects")
def test_deep_objects_beside_a_good_one(world, stranger, cluster):
    """Their nesting is beyond what the JSON decoder reads: once in a part that is read, once in another."""
    deep = cluster("deep", hold=True)
    deep["spec"]["worker"]["spec"]["x"] = "(nested)"
    managed = pod("managed", "worker")
    managed["spec"]["schedulingGates"] = [{"name": "tests.dask.org/held"}]
    fields = {"manager": "m", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z"}
    managed["metadata"]["managedFields"] = [fields | {"fieldsType": "FieldsV1", "fieldsV1": "(nested)"}]
    post(stranger, "daskclusters", deep, nested(1500))
    post(stranger, "pods", managed, '{"f:spec": ' * 1200 + "{}" + "}" * 1200)
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    # Python's JSON decoder does not read the object either.
    reason = """jsonpath={.status.conditions[?(@.type=="Degraded")].reason}=Unreadable"""
    stranger.kubectl("wait", "daskcluster/deep", f"--for={reason}", "--timeout=60s")

    stranger.patch("daskcluster/deep", {"spec": {"worker": {"spec": {"x": None}}}})
    stranger.workers("deep-default", 2, ready=False)


@pytest.fixture
def deep_objects(stranger) -> Iterator[None]:
    """The test leaves no object behind that clients of later tests cannot read."""
    yield
    stranger.kubectl("delete", "daskclusters,pods", "--all", "--timeout=60s")


def post(world, resource, manifest, text):
    """Create an object with this JSON text in it, which neither kubectl nor Python writes."""
    body = json.dumps(manifest).replace('"(nested)"', text)
    world.kubectl("create", "--raw", world.path(resource), "-f", "-", input=body)
