"""Starts that fail: each says why, soon, and leaves nothing behind."""

import asyncio
import re
import secrets
import socket

import pytest

from dask_k8s_client import (
    CrashLoopBackOffError,
    KubeCluster,
    SchedulerStartupError,
    SchedulerStartupTimeout,
    ValidationError,
    make_cluster_spec,
)

NOWHERE = {"nodeSelector": {"disktype": "none-has-it"}}
SLOW = 60
"""Within so many seconds, whatever is wrong is known on any machine."""


def spec_with(name, *, scheduler=None, container=None):
    spec = make_cluster_spec(name, n_workers=0)
    spec["spec"]["scheduler"]["spec"] |= scheduler or {}
    spec["spec"]["scheduler"]["spec"]["containers"][0] |= container or {}
    return spec


@pytest.fixture
def fails(make, kube):
    """Make a cluster that does not come up: the exception, after nothing is left of the cluster."""

    def build(error, words, spec, **arguments):
        with pytest.raises(error) as raised:
            make("", spec=spec, **arguments)
        assert kube("get", "daskcluster", spec["metadata"]["name"], "--ignore-not-found") == ""
        if not re.search(words, str(raised.value)) and arguments.get("resource_timeout", SLOW) < SLOW:
            # What keeps it from coming up was not known yet.
            return build(error, words, spec, **arguments | {"resource_timeout": SLOW})
        assert re.search(words, str(raised.value))
        return raised.value

    return build


def test_image_that_is_not_there(fails):
    spec = spec_with("no-image", container={"image": "registry.invalid/dask/nope:1"})
    fails(SchedulerStartupError, r"registry\.invalid/dask/nope:1", spec)


def test_no_node(fails):
    spec = spec_with("no-node", scheduler=NOWHERE)
    error = fails(SchedulerStartupTimeout, "no node for the scheduler", spec, resource_timeout=3)
    assert "Unschedulable" in str(error)
    assert re.search(r"within (3|60) s", str(error))


def test_more_than_any_node_has(fails):
    spec = spec_with("too-big", container={"resources": {"requests": {"memory": "900Ti"}}})
    fails(SchedulerStartupTimeout, "(?i)insufficient memory", spec, resource_timeout=3)


def test_crash_loop(fails):
    """With the last words of the scheduler."""
    spec = spec_with(
        "crash", container={"args": ["python", "-c", "print('no such flag'); raise SystemExit(3)"]}
    )
    error = fails(CrashLoopBackOffError, "exit code 3", spec)
    assert isinstance(error, SchedulerStartupError)
    assert "no such flag" in str(error)


def test_never_ready(fails):
    """It runs and answers nobody."""
    spec = spec_with(
        "deaf", container={"args": ["python", "-c", "import time; print('deaf'); time.sleep(600)"]}
    )
    error = fails(SchedulerStartupTimeout, "runs but is not ready", spec, resource_timeout=8)
    assert isinstance(error, TimeoutError)


def test_load_balancer_without_an_address(fails):
    spec = make_cluster_spec("unbalanced", n_workers=0, scheduler_service_type="LoadBalancer")
    fails(
        SchedulerStartupTimeout, "still waiting for the address of the scheduler's", spec, resource_timeout=8
    )


def test_port_that_is_taken(fails, unused_tcp_port):
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        fails(OSError, str(unused_tcp_port), spec_with("port-taken"), scheduler_forward_port=unused_tcp_port)


def test_misspelt_field_in_the_pod(fails):
    spec = spec_with("misspelt", scheduler={"nodeSelektor": {"a": "b"}})
    fails(ValidationError, "nodeSelektor", spec)


def test_unknown_field(here):
    spec = make_cluster_spec("unknown")
    spec["spec"]["idelTimeout"] = 3
    with pytest.raises(ValidationError, match="idelTimeout"):
        KubeCluster(custom_cluster_spec=spec, namespace=here)


def test_no_such_namespace(here):
    with pytest.raises(ValidationError, match='namespaces "nowhere" not found'):
        KubeCluster(name="foo", namespace="nowhere")


def test_no_controller(elsewhere):
    with pytest.raises(TimeoutError, match="is the Dask Operator running"):
        KubeCluster(name="foo", namespace=elsewhere.namespace, resource_timeout=2)
    assert elsewhere.names("daskclusters") == []


def test_quota(kube, fails):
    """Of the whole namespace, for as long as this test runs."""
    metadata = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}}
    kube.apply(metadata | {"spec": {"hard": {"pods": "0"}}})
    kube.wait("resourcequota/full", "jsonpath={.status.hard.pods}=0")
    try:
        fails(SchedulerStartupTimeout, "exceeded quota: full", spec_with("quota"), resource_timeout=5)
    finally:
        kube("delete", "resourcequota", "full")


def test_quota_of_clusters(elsewhere):
    metadata = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    elsewhere.apply(metadata | {"spec": {"hard": {"count/daskclusters.kubernetes.dask.org": "0"}}})
    elsewhere.wait("resourcequota/none", "jsonpath={.status.hard}")
    with pytest.raises(SchedulerStartupError, match="exceeded quota: none"):
        KubeCluster(name="foo", namespace=elsewhere.namespace)


def test_namespace_that_is_going(kubeconfig, kubectl_in, crds):
    name = f"going-{secrets.token_hex(4)}"
    kubectl = kubectl_in(name)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    held = {"name": "held", "finalizers": ["example.org/held"]}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    kubectl("delete", "namespace", name, "--wait=false")
    kubectl.wait(f"namespace/{name}", "jsonpath={.status.phase}=Terminating")
    try:
        with pytest.raises(SchedulerStartupError, match="being terminated"):
            KubeCluster(name="foo", namespace=name)
    finally:
        kubectl("patch", "configmap/held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


async def starting(make, kube, spec):
    """A cluster that will not become ready, and the task that waits for it; the resource is there."""
    cluster = make("", spec=spec, asynchronous=True)
    task = asyncio.ensure_future(cluster)
    target = f"daskcluster/{spec['metadata']['name']}"
    await asyncio.to_thread(kube.wait, target, "create")
    await asyncio.to_thread(kube.wait, target, "jsonpath={.status.phase}")
    return cluster, task


async def test_deleted_while_it_starts(make, kube):
    _, task = await starting(make, kube, spec_with("deleted", scheduler=NOWHERE))
    await asyncio.to_thread(kube, "delete", "daskcluster", "deleted")
    with pytest.raises(SchedulerStartupError, match="deleted while it was starting"):
        await task


async def test_given_up(make, kube):
    """By the user, who has other things to do."""
    _, task = await starting(make, kube, spec_with("given-up", scheduler=NOWHERE))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kube("get", "daskcluster", "given-up", "--ignore-not-found") == ""


async def test_closed_while_it_starts(make, kube):
    cluster, task = await starting(make, kube, spec_with("closed", scheduler=NOWHERE))
    await cluster.close()
    assert kube("get", "daskcluster", "closed", "--ignore-not-found") == ""
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_there_before_is_left(make, kube):
    """Connecting fails, and nobody deletes what others have made."""
    kube.apply(spec_with("others", scheduler=NOWHERE))
    for shutdown in (None, True):
        with pytest.raises(SchedulerStartupTimeout):
            await make(
                "",
                spec=spec_with("others"),
                asynchronous=True,
                resource_timeout=2,
                shutdown_on_close=shutdown,
            )
    kube("delete", "daskcluster", "others")
