"""The examples of single files do what their first lines say. They share a namespace, and start together."""

import json
import os
import shlex
import sys

import pytest

IMAGE = "DASK_K8S_CLIENT_IMAGE"
CLUSTERS = ("gpu-and-highmem", "spot", "private-registry", "istio")
WAIT = "--timeout=240s"

ASK = """
from distributed import Client, fire_and_forget
with Client("tcp://localhost:8786") as client:
    fire_and_forget([client.submit(str, each, resources={each: 1}) for each in ("GPU", "HIGHMEM")])
"""
KEEP = """
from distributed import Client
with Client("tcp://localhost:8786") as client:
    client.wait_for_workers(2)
    kept = client.scatter(list(range(20)))
    client.publish_dataset(kept=kept)
    (address, *_), = client.who_has(kept[:1]).values()
    print(client.scheduler_info(n_workers=-1)["workers"][address]["id"])
"""
EMPTIED = """
from time import sleep
from distributed import Client
with Client("tcp://localhost:8786") as client:
    kept = client.get_dataset("kept")
    while len({address for holders in client.who_has(kept).values() for address in holders}) > 1:
        sleep(0.1)
"""
GATHER = """
from distributed import Client
with Client("tcp://localhost:8786") as client:
    print(sum(client.gather(client.get_dataset("kept"))))
"""
NOTEBOOK = """
apiVersion: v1
kind: Pod
metadata: {name: notebook}
spec:
  serviceAccountName: notebook
  restartPolicy: Never
  volumes: [{name: notebooks, configMap: {name: notebook}}]
  containers:
    - name: notebook
      image: IMAGE
      command: [python, /notebooks/notebook.py]
      volumeMounts: [{name: notebooks, mountPath: /notebooks}]
"""


@pytest.fixture(scope="module")
def here(shared):
    """All clusters have been made."""
    shared.shell(
        "kubectl create secret docker-registry my-registry --docker-server=registry.example.org "
        "--docker-username=me --docker-password=secret"
    )
    for name in CLUSTERS:
        shared.shell(f"kubectl apply -f {name}.yaml")
    return shared


def pods(place, cluster):
    """The pods of a cluster, once it is ready."""
    place.shell(f"kubectl wait daskcluster {cluster} --for=condition=Ready {WAIT}")
    return json.loads(place.shell(f"kubectl get pods -l dask.org/cluster-name={cluster} -o json"))["items"]


def on_scheduler(place, cluster, program):
    """Run Python in the pod of a scheduler."""
    pod = f"{cluster}-scheduler"
    place.shell(f"kubectl wait pod {pod} --for=condition=Ready {WAIT}")
    command = ["kubectl", "exec", pod, "--", "python", "-W", "ignore", "-c", program]
    return place.shell(shlex.join(command)).splitlines()


def test_gpu_and_highmem(here):
    on_scheduler(here, "mixed", ASK)
    for group in ("mixed-gpu", "mixed-highmem"):
        here.shell(f"kubectl wait daskworkergroup {group} --for=jsonpath={{.spec.worker.replicas}}=1 {WAIT}")
    assert here.shell("kubectl get daskworkergroup mixed-default -o jsonpath={.spec.worker.replicas}") == "0"


def test_spot(here):
    *_, leaving = on_scheduler(here, "spot", KEEP)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": leaving}}
    path = f"/api/v1/namespaces/{here.namespace}/pods/{leaving}/eviction"
    here.shell(f"kubectl create --raw {path} -f -", stdin=json.dumps(eviction))
    on_scheduler(here, "spot", EMPTIED)
    here.shell(f"kubectl delete pod {leaving} --grace-period=1 --ignore-not-found")
    assert on_scheduler(here, "spot", GATHER)[-1] == str(sum(range(20)))


def test_private_registry(here):
    secrets = [pod["spec"]["imagePullSecrets"] for pod in pods(here, "private")]
    assert secrets == [[{"name": "my-registry"}]] * 2


@pytest.mark.parametrize("cluster, injected", [("mesh", "true"), ("private", "false")], ids=["on", "off"])
def test_istio(here, cluster, injected):
    found = [pod["metadata"] for pod in pods(here, cluster)]
    assert [each["labels"]["sidecar.istio.io/inject"] for each in found] == [injected] * 2
    annotated = ["proxy.istio.io/config" in each.get("annotations", {}) for each in found]
    assert annotated == [injected == "true"] * 2


def test_jupyterhub(kubernetes, here):
    image = os.environ.get(IMAGE, "")
    if not (image or kubernetes.is_local):
        pytest.skip(f"{IMAGE} names no image that has dask-k8s-client in it")
    here.shell("kubectl apply -f ../user-role.yaml -f rights.yaml", "jupyterhub")
    here.shell("kubectl create configmap notebook --from-file=notebook.py", "jupyterhub")
    here.shell("kubectl apply -f -", stdin=NOTEBOOK.replace("IMAGE", image or "here"))
    here.shell(f"kubectl wait pod notebook --for=jsonpath={{.status.phase}}=Succeeded {WAIT}")
    assert "16807" in here.shell("kubectl logs notebook").splitlines()
    here.shell(f"kubectl wait daskcluster from-notebook --for=delete {WAIT}")


def test_queue(here):
    queue = [sys.executable, "admit.py", "--namespace", here.namespace]
    with here.started(queue, "queue"):
        jobs = [here.shell("kubectl create -f job.yaml -o name", "queue").strip() for _ in range(2)]
        for job in jobs:
            here.shell(f"kubectl wait {job} --for=condition=Complete {WAIT}")
    found = [json.loads(here.shell(f"kubectl get {job} -o json"))["status"] for job in jobs]
    first, second = sorted(found, key=lambda status: status["startTime"])
    assert first["endTime"] <= second["startTime"]
