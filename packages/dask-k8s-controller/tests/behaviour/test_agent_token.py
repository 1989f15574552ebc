"""The token of an agent: derived from the controller's key, and replaced with it."""

import base64
import json

import pytest

from dask_k8s_controller.testing.process import command_output, load_manifests
from dask_k8s_crds import names as crd_names

from .conftest import merged
from .world import uids

KEY = f"secret/{crd_names.AGENT_KEY}"
SCHEDULER = "dask.org/component=scheduler"
AGENT = "dask.org/component=agent"
GROUP = "daskworkergroup/demo-default"

# A scheduler that lets workers go at once, as that of the other tests, and checks the token as an agent does.
STRICT = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pods = sorted(asked["pods"])
        answer = json.dumps({"known": pods, "gone": pods[: asked.get("count")]}).encode()
        with open(os.environ["DASK_K8S_AGENT_TOKEN_FILE"]) as file:
            accepted = self.headers["Authorization"] == f"Bearer {file.read()}"
        self.send_response(200 if accepted else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

ThreadingHTTPServer(("0.0.0.0", 8787), Agent).serve_forever()
"""


def scheduler(cluster, container=None, **spec):
    """A cluster whose scheduler has this in its container and its spec."""
    manifest = cluster()
    [usual] = manifest["spec"]["scheduler"]["spec"]["containers"]
    manifest["spec"]["scheduler"]["spec"] |= {"containers": [merged(usual, container or {})], **spec}
    return manifest


def shrink(world):
    """Whether the agent accepts the token decides whether workers go."""
    world.scale(GROUP, 2)
    world.workers("demo-default", 2)
    world.scale(GROUP, 1)
    world.workers("demo-default", 1)


def secrets_of(world):
    """All that nobody may see, in the encodings in which it might be seen."""
    data = [value for each in world.all("secrets") for value in each["data"].values()]
    data = [value for value in data if len(value) < 1000]  # not the agent's file
    contents = list(map(base64.b64decode, data))
    texts = {value.decode() for value in contents if value.isascii()}
    return {*data, *texts, *(value.hex() for value in contents)}


@pytest.mark.core
def test_the_key_is_replaced(world, run_controller, cluster):
    controller = run_controller("--lease-namespace", world.namespace, "--verbose")
    world.apply(scheduler(cluster, {"command": ["python", "-c", STRICT]}))
    shrink(world)
    pod, key = world.get("pod/demo-scheduler"), world.get(KEY)
    secrets = secrets_of(world)

    # Another controller has the same key, and reading it has changed nothing.
    controller.stop()
    controller.start()
    shrink(world)
    assert world.get(KEY) == key

    # One that runs goes on without the Secret.
    world.kubectl("delete", KEY)
    shrink(world)

    # The next creates another key. What runs stays, and a condition says what to do.
    controller.stop()
    controller.start()
    degraded = world.condition("daskcluster/demo", "Degraded", "AgentTokenOutdated")
    assert "until you delete the pod" in degraded["message"]
    world.scale(GROUP, 0)
    world.condition(GROUP, "Progressing", "Unauthorized")
    assert len(world.names("pods")) == 2
    assert world.get("pod/demo-scheduler")["metadata"]["uid"] == pod["metadata"]["uid"]

    world.kubectl("delete", "pod/demo-scheduler")
    world.workers("demo-default", 0)
    world.condition("daskcluster/demo", "Degraded", "Healthy")
    shrink(world)

    # Nobody has seen the key or a token.
    assert secrets < (secrets := secrets | secrets_of(world))
    kinds = ("daskclusters", "daskworkergroups", "events", "pods", "services")
    seen = json.dumps([world.all(kind) for kind in kinds]) + "".join(controller.log)
    assert [value for value in secrets if value in seen] == []


def test_two_installations_with_different_keys_do_not_fight(world, run_controller, cluster):
    run_controller("--lease-namespace", world.namespace)
    run_controller()
    world.apply(cluster(hold=True))
    degraded = world.condition("daskcluster/demo", "Degraded", "ControllerConflict")
    assert "let only one installation serve the namespace" in degraded["message"]
    pod = world.get("pod/demo-scheduler")
    # Each of both has turns, and leaves the scheduler alone.
    for replicas in (3, 2):
        world.scale(GROUP, replicas)
        world.workers("demo-default", replicas, ready=False)
    assert world.get("pod/demo-scheduler")["metadata"]["uid"] == pod["metadata"]["uid"]
    world.condition("daskcluster/demo", "Degraded", "ControllerConflict")


def test_a_deleted_secret_comes_back_while_the_scheduler_starts(world, cluster):
    mounts = {"volumeMounts": [{"name": "more", "mountPath": "/more"}]}
    volumes = [{"name": "more", "configMap": {"name": "more"}}]
    world.apply(scheduler(cluster, mounts, volumes=volumes))
    world.until("pods", lambda pods: any("nodeName" in pod["spec"] for pod in pods), SCHEDULER)
    [first] = world.all("secrets", AGENT)
    world.kubectl("delete", f"secret/{first['metadata']['name']}")

    def another(found):
        return uids(found) - uids([first])

    [again] = world.until("secrets", another, AGENT)
    assert again["metadata"]["name"] == first["metadata"]["name"]
    world.kubectl("create", "configmap", "more")
    world.wait("daskcluster/demo", "condition=SchedulerReady")

    # A scheduler that runs needs it no more.
    world.kubectl("delete", f"secret/{first['metadata']['name']}")
    world.scale("daskcluster/demo", 0)
    world.workers("demo-default", 0)
    assert world.all("secrets", AGENT) == []


def test_a_large_labelled_secret_is_not_read(world, run_controller, proxy, cluster):
    """The controller never asks for a Secret, whatever its labels."""
    labels = {"dask.org/cluster-name": "demo", "dask.org/component": "agent"}
    large = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "large", "labels": labels}}
    large["stringData"] = {"token": "x" * 700_000}
    world.kubectl("create", "-f", "-", input=json.dumps(large))
    run_controller("--lease-namespace", world.namespace, kubeconfig=proxy.kubeconfig)
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    asked = {(method, path.partition("/secrets")[2]) for method, path in proxy.requests if "/secrets" in path}
    assert asked <= {("POST", ""), ("PATCH", f"/{crd_names.AGENT_KEY}")}


@pytest.mark.real("the local Kubernetes lets everybody do everything")
def test_missing_rights_are_named_and_waited_for(world, run_controller, proxy_as, cluster):
    options = ("--namespace", world.namespace, "--controller-namespace", world.namespace)
    printed = load_manifests(command_output("manifests", *options))
    roles = [each for each in printed if each["kind"] in {"Role", "RoleBinding"}]
    late = [each for each in roles if each["metadata"]["name"] == "dask-k8s-controller-agent-key"]
    world.apply(*(each for each in roles if each not in late))
    # Who serves a namespace may create Secrets there: only the right to patch the key is missing.
    world.kubectl("create", "secret", "generic", crd_names.AGENT_KEY, f"--from-literal=key={'k' * 32}")
    proxy = proxy_as(f"system:serviceaccount:{world.namespace}:dask-k8s-controller")
    controller = run_controller(
        "--lease-namespace", world.namespace, kubeconfig=proxy.kubeconfig, ready=False
    )
    problem = controller.wait_for_log("cannot create or read the Secret")
    assert f'rights to "create" Secrets in the namespace {world.namespace}' in problem
    controller.wait_for_health("/readyz", 503)
    assert "grant the controller" in controller.health("/readyz")[1]
    assert controller.health("/livez")[0] == 200
    world.apply(*late)
    controller.wait_for_log("Ready")
    world.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
