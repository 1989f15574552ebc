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
