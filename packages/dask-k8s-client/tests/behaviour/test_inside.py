"""From a pod, with no more than the permissions that are documented for everywhere."""

import os
import textwrap

import pytest

from dask_k8s_client import make_cluster_spec

# On a real Kubernetes the pod needs an image with this package; on the local one pods run in our environment.
IMAGE = "DASK_K8S_CLIENT_IMAGE"

PROGRAM = """
    import operator, sys, warnings
    warnings.filterwarnings("ignore", "Mismatched versions")
    from distributed import Client
    from dask_k8s_client import KubeCluster
    with KubeCluster(custom_cluster_spec={spec!r}) as cluster:
        print(cluster.namespace, cluster.scheduler_address, cluster.dashboard_link)
        with Client(cluster) as client:
            print(client.submit(operator.add, 20, 1).result())
        cluster.add_worker_group("more", n_workers=0)
        cluster.scale(1, worker_group="more")
        cluster.delete_worker_group("more")
        cluster.adapt(minimum=1, maximum=2)
        cluster.scale(1)
    print("closed")
"""


@pytest.fixture
def account(account_with):
    """A service account that has what the documented role says is for everywhere."""
    return account_with("inside", lambda rule: {"pods", "daskclusters"} & {*rule["resources"]})


def test_inside(kubernetes, kube, account, quick_spec):
    image = os.environ.get(IMAGE, "")
    if not (image or kubernetes.is_local):
        pytest.skip(f"{IMAGE} names no image that has this package in it")
    spec = quick_spec(make_cluster_spec("from-inside", n_workers=1))
    program = textwrap.dedent(PROGRAM).format(spec=spec)
    container = {"name": "user", "image": image or "here", "command": ["python", "-c", program]}
    pod = {"serviceAccountName": account, "restartPolicy": "Never", "containers": [container]}
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "inside"}, "spec": pod})
    kube.wait("pod/inside", "jsonpath={.status.containerStatuses[0].state.terminated}")
    log = kube("logs", "inside")
    ended = kube.get("pod/inside")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 0, log
    host = f"from-inside-scheduler.{kube.namespace}.svc.cluster.local"
    assert log.splitlines()[-3:] == [
        f"{kube.namespace} tcp://{host}:8786 http://{host}:8787/status",
        "21",
        "closed",
    ]
    assert kube("get", "daskcluster", "from-inside", "--ignore-not-found") == ""
