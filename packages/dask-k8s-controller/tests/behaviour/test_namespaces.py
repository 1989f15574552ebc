"""Which namespaces are served, and with which rights."""

import pytest

from dask_k8s_controller.testing.process import command_output, load_manifests


def test_two_namespaces_and_no_third(world, another, run_controller, cluster):
    second, third = another(), another()
    third.apply(cluster(hold=True))
    run_controller(namespaces=(world.namespace, second.namespace))
    for one in (world, second):
        one.apply(cluster(hold=True))
        one.workers("demo-default", 2, ready=False)
    assert third.names("pods") == set()
    assert "status" not in third.get("daskcluster/demo")


@pytest.mark.core
def test_a_forbidden_namespace_does_not_stop_the_others(world, another, run_controller, proxy, cluster):
    second = another()
    proxy.forbidden = f"/namespaces/{second.namespace}/pods"
    namespaces = (world.namespace, second.namespace)
    controller = run_controller(namespaces=namespaces, kubeconfig=proxy.kubeconfig)
    for one in (world, second):
        one.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    assert second.names("pods") == set()
    missing = f"pods in {second.namespace} not listed yet: Forbidden"
    controller.wait_for_log(missing)
    status, text = controller.health("/readyz")
    assert (status, text.splitlines()[0]) == (200, "ok")
    assert missing in text
    assert {"DaskCluster", "DaskWorkerGroup"} <= set(text.split("not reconciled there: ")[1].split(", "))
    assert 'dask_k8s_unsynced_watches{resource="pods"} 1.0' in controller.health("/metrics")[1]
    assert controller.health("/livez") == (200, "ok")

    proxy.forbidden = None
    second.workers("demo-default", 2, ready=False)
    controller.wait_for_health("/readyz", 200, "ok")  # the kinds of plugins may come a moment later


def test_a_namespace_whose_rights_are_revoked_is_left_alone_until_they_are_back(
    world, another, run_controller, proxy, cluster
):
    second = another()
    namespaces = (world.namespace, second.namespace)
    controller = run_controller(namespaces=namespaces, kubeconfig=proxy.kubeconfig)
    for one in (world, second):
        one.apply(cluster(hold=True))
        one.workers("demo-default", 2, ready=False)
    before = second.names("pods")
    proxy.forbidden = f"/namespaces/{second.namespace}/pods"
    proxy.hang_up()
    controller.wait_for_log(f"cannot watch pods in {second.namespace}: Forbidden")
    for one in (second, world):
        one.scale("daskcluster/demo", 3)
    world.workers("demo-default", 3, ready=False)
    assert second.names("pods") == before
    proxy.forbidden = None
    second.workers("demo-default", 3, ready=False)
    assert before < second.names("pods")


@pytest.mark.real("the local Kubernetes does not enforce RBAC")
def test_a_namespace_without_a_role(world, another, run_controller, proxy_as, cluster):
    """As before its Role is applied, or after it was deleted with the namespace."""
    second = another()
    options = ("--controller-namespace", world.namespace, "--namespace", world.namespace)
    printed = load_manifests(command_output("manifests", *options, "--namespace", second.namespace))
    first, rest = (
        [each for each in printed if each["metadata"].get("namespace") == one.namespace]
        for one in (world, second)
    )
    world.apply(*first)
    proxy = proxy_as(f"system:serviceaccount:{world.namespace}:dask-k8s-controller")
    controller = run_controller(
        *("--lease-namespace", world.namespace),
        namespaces=(world.namespace, second.namespace),
        kubeconfig=proxy.kubeconfig,
    )
    for one in (world, second):
        one.apply(cluster(hold=True))
    world.workers("demo-default", 2, ready=False)
    assert f"pods in {second.namespace} not listed yet: Forbidden" in controller.health("/readyz")[1]
    assert second.names("pods") == set()
    second.apply(*rest)
    second.workers("demo-default", 2, ready=False)
    controller.wait_for_health("/readyz", 200)


def test_a_small_cluster_does_not_wait_for_many_groups_that_grow(
    world, another, run_controller, cluster, group
):
    """At two writes per second the pods of these groups take an hour."""
    second = another()
    options = ("--api-rate", "2")
    controller = run_controller(*options, namespaces=(world.namespace, second.namespace))
    fifty = {"spec": {"worker": {"replicas": 50}}}
    world.apply(cluster("demo", hold=True), *(group(f"g{at}", fifty, hold=True) for at in range(300)))
    second.apply(cluster("demo", {"spec": {"worker": {"replicas": 1}}}, hold=True))
    second.workers("demo-default", 1, ready=False)
    assert controller.health("/livez") == (200, "ok")


@pytest.mark.core
@pytest.mark.alone
def test_all_namespaces_also_those_to_come(world, another, run_controller, cluster):
    run_controller("--all-namespaces", namespaces=())
    for one in (world, another()):
        one.apply(cluster(hold=True))
        one.workers("demo-default", 2, ready=False)


@pytest.mark.core
def test_the_printed_rights_are_enough(world, run_controller, proxy_as, cluster, group):
    """All that a controller of one namespace does, as the service account that ``manifests`` prints."""
    options = ("--namespace", world.namespace, "--controller-namespace", world.namespace)
    printed = load_manifests(command_output("manifests", *options))
    world.apply(*[found for found in printed if found["kind"] in {"ServiceAccount", "Role", "RoleBinding"}])
    assert not {"ClusterRole", "ClusterRoleBinding"} & {found["kind"] for found in printed}

    proxy = proxy_as(f"system:serviceaccount:{world.namespace}:dask-k8s-controller")
    controller = run_controller("--lease-namespace", world.namespace, kubeconfig=proxy.kubeconfig)
    containers = [{"name": "worker", "image": "dask", "args": ["dask-worker"]}]
    world.apply(cluster("demo", {"spec": {"worker": {"spec": {"containers": containers}}}}, hold=True))
    world.apply(group(hold=True))
    world.workers("demo-default", 2, ready=False)
    world.workers("demo-more", 1, ready=False)
    world.scale("daskcluster/demo", 0)
    world.workers("demo-default", 0)
    world.until("events", lambda found: any(event["reason"] == "LegacyCommand" for event in found))
    world.wait("daskcluster/demo", "jsonpath={.status.workers}=0/1")
    assert "orbidden" not in "".join(controller.log), "".join(controller.log)
