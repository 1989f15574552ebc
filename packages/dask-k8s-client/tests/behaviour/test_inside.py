"""In a pod, with only the permissions that are documented for any place."""

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
KEPT = """
    import warnings
    warnings.filterwarnings("ignore", "Mismatched versions")
    from dask_k8s_client import KubeCluster
    closed, open = [KubeCluster(custom_cluster_spec=each) for each in {specs!r}]
    closed.shutdown_on_close = open.shutdown_on_close = False
    closed.close()
"""
CRASHED = """
    import os, warnings
    warnings.filterwarnings("ignore", "Mismatched versions")
    from dask_k8s_client import KubeCluster
    cluster = KubeCluster(custom_cluster_spec={spec!r})
    os._exit(3)  # as a crash: no clean-up
"""


@pytest.fixture
def image(kubernetes):
    """An image with this package."""
    found = os.environ.get(IMAGE, "")
    if not (found or kubernetes.is_local):
        pytest.skip(f"{IMAGE} names no image that has this package in it")
    return found or "here"


@pytest.fixture
def run(kube, account_with, image):
    """Run a program in a pod with the role's general permissions; return its exit code and output."""

    def ended(name, program):
        account = account_with(name, lambda rule: {"pods", "daskclusters"} & {*rule["resources"]})
        container = {"name": "user", "image": image, "command": ["python", "-c", textwrap.dedent(program)]}
        pod = {"serviceAccountName": account, "restartPolicy": "Never", "containers": [container]}
        kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod})
        state = "{.status.containerStatuses[0].state.terminated}"
        kube.wait(f"pod/{name}", f"jsonpath={state}")
        return kube("get", "pod", name, "-o", f"jsonpath={state[:-1]}.exitCode}}"), kube("logs", name)

    return ended


def test_inside(kube, run, quick_spec):
    spec = quick_spec(make_cluster_spec("from-inside", n_workers=1))
    code, log = run("inside", PROGRAM.format(spec=spec))
    assert code == "0", log
    host = f"from-inside-scheduler.{kube.namespace}.svc.cluster.local"
    assert log.splitlines()[-3:] == [
        f"{kube.namespace} tcp://{host}:8786 http://{host}:8787/status",
        "21",
        "closed",
    ]
    assert not kube.exists("daskcluster/from-inside")


@pytest.mark.core
def test_who_dies_takes_the_cluster_along(kube, run, quick_spec):
    spec = quick_spec(make_cluster_spec("reaped", n_workers=0))
    code, log = run("crashed", CRASHED.format(spec=spec))
    assert code == "3", log
    assert kube.exists("daskcluster/reaped")
    kube("delete", "pod", "crashed")
    kube.wait("daskcluster/reaped", "delete")


def test_who_lets_go_of_clusters_leaves_them(kube, run, quick_spec):
    """By close, or at the end of the process."""
    kept = ("closed", "open")
    code, log = run(
        "kept", KEPT.format(specs=[quick_spec(make_cluster_spec(name, n_workers=0)) for name in kept])
    )
    assert code == "0", log
    for name in kept:
        assert "ownerReferences" not in kube.get(f"daskcluster/{name}")["metadata"]
    kube.delete("daskcluster", *kept)
