"""Programs in pods that use the API."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.core

SCRIPT = """
import base64, json
from kubernetes import client, config
config.load_incluster_config()
api = client.CoreV1Api()
namespace = open("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read()
print(sorted(pod.metadata.name for pod in api.list_namespaced_pod(namespace).items))
claims = open("/var/run/secrets/kubernetes.io/serviceaccount/token").read().split(".")[1]
about = json.loads(base64.urlsafe_b64decode(claims + "=="))["kubernetes.io"]
print(about["namespace"] == namespace, about["pod"]["name"], about["pod"]["uid"])
"""

CAN_MOUNT = """
import sys, tempfile
from dask_k8s_local.kubelet.runtime.mounts import can_mount
sys.exit(not can_mount(tempfile.gettempdir()))
"""


def test_a_service_account_of_its_own(kubernetes, namespace, kubectl):
    if not kubernetes.is_local:
        pytest.skip("needs an image with the client")
    if subprocess.run([sys.executable, "-c", CAN_MOUNT], check=False).returncode:
        pytest.skip("mount namespaces are not permitted here")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}}
    container = {"name": "main", "image": "x", "command": ["python", "-c", SCRIPT]}
    spec = {"serviceAccountName": "runner", "restartPolicy": "Never", "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "runner"}, "spec": spec}
    for obj in (account, pod):
        kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(obj))
    kubectl(
        "wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/runner", "--timeout=30s"
    )
    uid = kubectl("get", "-n", namespace, "pod", "runner", "-o", "jsonpath={.metadata.uid}").stdout
    logs = kubectl("logs", "-n", namespace, "runner").stdout
    assert logs.splitlines() == ["['runner']", f"True runner {uid}"]
