"""Failed starts: each reports its reason soon, as in docs/failures.md, and leaves nothing behind."""

import asyncio
import copy
import os
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from click.testing import CliRunner
from distributed import Client

from dask_k8s_client import KubeCluster, SchedulerStartupTimeout, make_cluster_spec
from dask_k8s_client.cli.main import kubernetes

pytestmark = pytest.mark.core

NOWHERE = {"nodeSelector": {"disktype": "none-has-it"}}
SLOW = 60
"""Seconds in which any machine detects any of these failures."""


def spec_with(name, *, scheduler=None, container=None):
    spec = make_cluster_spec(name, n_workers=0)
    spec["spec"]["scheduler"]["spec"] |= scheduler or {}
    spec["spec"]["scheduler"]["spec"]["containers"][0] |= container or {}
    return spec


@pytest.fixture
def fails(make, kube, documented):
    """Start a cluster that fails as documented, and check that nothing is left of it.

    With `soon`, it fails when its time is over: this tries a short time first, and a longer one if the
    failure was not yet detected.
    """

    def build(spec, *, soon=False):
        name = spec["metadata"]["name"]
        names = {"my-cluster": name, "my-namespace": kube.namespace}
        for limit in (1, 3, 8, SLOW) if soon else (None,):
            with pytest.raises(documented.exception) as raised:
                make("", spec=copy.deepcopy(spec), **({"resource_timeout": limit} if soon else {}))
            if documented.matches(raised.value, names):
                assert not kube.exists(f"daskcluster/{name}")
                return
            # If even the answer to its creation came too late, it is still there.
            kube("delete", f"daskcluster/{name}", "--ignore-not-found")
        pytest.fail(f"{raised.value}\nis not\n{documented.message}")

    return build


def create(*args):
    return CliRunner().invoke(kubernetes, ["create", *args])


def test_expired_credentials(documented, kubeconfig, tmp_path, monkeypatch):
    """They are expired in the kubeconfig, too."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    for user in config["users"]:
        user["user"] = {"token": "expired"}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    with documented.raised():
        KubeCluster(name="my-cluster", namespace="my-namespace")
    documented.printed(create("my-cluster", "-n", "my-namespace"))


def test_image_that_cannot_be_pulled(fails):
    spec = spec_with("no-image", container={"image": "registry.invalid/dask/nope:1"})
    fails(spec)


def test_no_node(fails):
    fails(spec_with("no-node", scheduler=NOWHERE), soon=True)


def test_more_than_any_node_has(fails):
    spec = spec_with("too-big", container={"resources": {"requests": {"memory": "900Ti"}}})
    fails(spec, soon=True)


def test_crash_loop(fails):
    """The message contains the last log lines of the scheduler."""
    program = "print('no such flag'); raise SystemExit(3)"
    fails(spec_with("crash", container={"args": ["python", "-c", program]}))


def test_never_ready(fails):
    """It runs but does not answer."""
    program = "import time; print('deaf', flush=True); time.sleep(600)"
    fails(spec_with("deaf", container={"args": ["python", "-c", program]}), soon=True)


def test_load_balancer_without_an_address(fails):
    spec = make_cluster_spec("unbalanced", n_workers=0, scheduler_service_type="LoadBalancer")
    fails(spec, soon=True)


def test_port_that_is_taken(documented, make, kube, unused_tcp_port):
    with (
        socket.create_server(("127.0.0.1", unused_tcp_port)),
        documented.raised({"8787": str(unused_tcp_port)}),
    ):
        make("", spec=spec_with("port-taken"), scheduler_forward_port=unused_tcp_port)
    assert not kube.exists("daskcluster/port-taken")


def test_misspelt_field_in_the_pod(fails):
    fails(spec_with("misspelt", scheduler={"nodeSelektor": {"a": "b"}}))


def test_misspelt_field(documented, here):
    spec = make_cluster_spec("my-cluster")
    spec["spec"]["idelTimeout"] = 3
    with documented.raised():
        KubeCluster(custom_cluster_spec=spec, namespace=here)


def test_no_such_namespace(documented, here):
    with documented.raised():
        KubeCluster(name="my-cluster", namespace="my-namespace")
    documented.printed(create("my-cluster", "-n", "my-namespace"), last="")


def test_no_controller(documented, elsewhere):
    """From Python and in the shell at the same time."""
    here = {"my-namespace": elsewhere.namespace}
    with ThreadPoolExecutor(1) as thread:
        typed = thread.submit(create, "typed", "-n", elsewhere.namespace, "--wait", "--timeout", "5")
        with documented.raised({"my-cluster": "unseen", **here}):
            KubeCluster(name="unseen", namespace=elsewhere.namespace, resource_timeout=5)
    documented.printed(typed.result(), {"my-cluster": "typed", **here}, last=documented.last_line)
    assert elsewhere.names("daskclusters") == {"typed"}


def test_name_taken(documented, kube):
    kube.apply(spec_with("taken", scheduler=NOWHERE))
    names = {"my-cluster": "taken", "my-namespace": kube.namespace}
    with documented.raised(names):
        KubeCluster(name="taken", namespace=kube.namespace, create_mode="CREATE_ONLY")
    documented.printed(create("taken", "-n", kube.namespace), names)
    kube.delete("daskcluster/taken")


def test_no_such_cluster(documented, here):
    names = {"my-namespace": here}
    with documented.raised(names):
        KubeCluster.from_name("my-cluster", namespace=here)


def test_quota(kube, fails):
    """A quota of the whole namespace while this test runs."""
    metadata = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}}
    kube.apply(metadata | {"spec": {"hard": {"pods": "0"}}})
    kube.wait("resourcequota/full", "jsonpath={.status.hard.pods}=0")
    try:
        fails(spec_with("quota"), soon=True)
    finally:
        kube("delete", "resourcequota", "full")


def test_quota_of_what_pods_do_not_say(kube, fails):
    """With resources in the arguments, the quota accepts the pods."""
    metadata = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "memory"}}
    # The scope matches pods with a deadline, and so no pods of other tests.
    quota = {"hard": {"limits.memory": "1Gi"}, "scopes": ["Terminating"]}
    kube.apply(metadata | {"spec": quota})
    kube.wait("resourcequota/memory", "jsonpath={.status.hard}")
    try:
        fails(spec_with("unsaid", scheduler={"activeDeadlineSeconds": 600}))
    finally:
        kube("delete", "resourcequota", "memory")


@pytest.mark.real("the local Kubernetes enforces no Pod Security Standard")
def test_restricted(kube, make, fails):
    label = "pod-security.kubernetes.io/enforce"
    kube("label", "namespace", kube.namespace, f"{label}=restricted")
    try:
        fails(spec_with("privileged"))
        cluster = make("", spec=make_cluster_spec("unprivileged", n_workers=1, run_as_user=1000))
        with Client(cluster) as client:
            assert client.submit(os.getuid).result(SLOW) == 1000
            assert client.run_on_scheduler(os.getuid) == 1000
    finally:
        kube("label", "namespace", kube.namespace, f"{label}-")


def test_quota_of_clusters(documented, elsewhere):
    metadata = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    elsewhere.apply(metadata | {"spec": {"hard": {"count/daskclusters.kubernetes.dask.org": "0"}}})
    elsewhere.wait("resourcequota/none", "jsonpath={.status.hard}")
    with documented.raised({"my-namespace": elsewhere.namespace}):
        KubeCluster(name="my-cluster", namespace=elsewhere.namespace)


def test_namespace_that_is_going(documented, kubeconfig, kubectl_in, crds):
    name = f"going-{secrets.token_hex(4)}"
    kubectl = kubectl_in(name)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    held = {"name": "held", "finalizers": ["example.org/held"]}
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    kubectl("delete", "namespace", name, "--wait=false")
    kubectl.wait(f"namespace/{name}", "jsonpath={.status.phase}=Terminating")
    try:
        with documented.raised({"my-namespace": name}):
            KubeCluster(name="my-cluster", namespace=name)
    finally:
        kubectl.patch("configmap/held", {"metadata": {"finalizers": None}})


async def starting(make, kube, spec):
    """Create a cluster that does not become ready; return it and the task that waits for it."""
    cluster = make("", spec=spec, asynchronous=True)
    task = asyncio.ensure_future(cluster)
    target = f"daskcluster/{spec['metadata']['name']}"
    await asyncio.to_thread(kube.wait, target, "create")
    await asyncio.to_thread(kube.wait, target, "jsonpath={.status.phase}")
    return cluster, task


async def test_deleted_while_it_starts(documented, make, kube):
    _, task = await starting(make, kube, spec_with("deleted", scheduler=NOWHERE))
    await asyncio.to_thread(kube, "delete", "daskcluster", "deleted")
    with documented.raised({"my-cluster": "deleted", "my-namespace": kube.namespace}):
        await task


async def test_cancelled(make, kube):
    """The user cancels the start."""
    _, task = await starting(make, kube, spec_with("cancelled", scheduler=NOWHERE))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not kube.exists("daskcluster/cancelled")


async def test_closed_while_it_starts(make, kube):
    cluster, task = await starting(make, kube, spec_with("closed", scheduler=NOWHERE))
    await cluster.close()
    assert not kube.exists("daskcluster/closed")
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_there_before_is_left(make, kube):
    """A failed connection does not delete a cluster that others have created."""
    kube.apply(spec_with("others", scheduler=NOWHERE))
    for shutdown in (None, True):
        with pytest.raises(SchedulerStartupTimeout):
            await make(
                "",
                spec=spec_with("others"),
                asynchronous=True,
                resource_timeout=1,
                shutdown_on_close=shutdown,
            )
    kube.delete("daskcluster/others")
