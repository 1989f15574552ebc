"""Programs in pods that talk to the API."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
from kubernetes import client, config
config.load_incluster_config()
api = client.CoreV1Api()
namespace = open("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read()
print(sorted(pod.metadata.name for pod in api.list_namespaced_pod(namespace).items))
"""

CAN_MOUNT = """
import sys, tempfile
from dask_k8s_local.kubelet.runtime.mounts import work
sys.exit(not work(tempfile.gettempdir()))
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
    assert kubectl("logs", "-n", namespace, "runner").stdout == "['runner']\n"
