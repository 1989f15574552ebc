"""What the controller leaves alone: the user's objects, and the API server where nothing changes."""

import pytest


@pytest.mark.core
def test_no_finalizer_and_nothing_of_ours_on_the_users_object(world, cluster, group):
    metadata = {"labels": {"mine": "yes"}, "annotations": {"note": "mine"}}
    manifest = cluster("demo", {"metadata": metadata}, hold=True)
    world.apply(manifest, group(hold=True))
    world.workers("demo-default", 2, ready=False)
    world.workers("demo-more", 1, ready=False)
    world.scale("daskworkergroup/demo-default", 3)
    world.workers("demo-default", 3, ready=False)

    for resource in ("daskclusters", "daskworkergroups", "pods", "services"):
        assert [item for item in world.all(resource) if "finalizers" in item["metadata"]] == []
    found = world.get("daskcluster/demo")
    annotations = found["metadata"]["annotations"]
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration")
    assert annotations == {"note": "mine"}
    assert found["metadata"]["labels"] == {"mine": "yes"}
    assert found["metadata"]["generation"] == 1
    assert manifest["spec"].items() <= found["spec"].items()  # the rest are the CRD's defaults


@pytest.mark.alone
def test_no_request_at_idle(world, run_controller, proxy, cluster):
    run_controller(kubeconfig=proxy.kubeconfig)
    world.apply(cluster())
    world.wait("daskcluster/demo", "condition=Ready")
    world.wait("daskworkergroup/demo-default", "condition=Ready")
    everything = ("daskclusters", "daskworkergroups", "pods", "services", "events")
    world.until_quiet(*everything, seconds=2)  # the last report may be late, and so are a node's events
    before = len(proxy.requests)
    assert world.is_quiet(*everything, seconds=5)
    assert proxy.requests[before:] == []


def test_one_request_makes_a_worker_and_one_deletes_it(world, run_controller, proxy, cluster):
    run_controller(kubeconfig=proxy.kubeconfig)
    world.apply(cluster("demo", {"spec": {"worker": {"replicas": 10}}}, hold=True))
    world.workers("demo-default", 10, ready=False)
    world.scale("daskworkergroup/demo-default", 0)
    world.workers("demo-default", 0)
    world.wait("daskcluster/demo", "jsonpath={.status.replicas}=0")
    assert proxy.count("POST", "/pods") == 11
    assert sum(method == "DELETE" for method, _ in proxy.requests) == 10
    read = [
        path.partition(f"/namespaces/{world.namespace}/")[2]
        for method, path in proxy.requests
        if method == "GET" and world.namespace in path
    ]
    assert {"pods", "daskclusters", "daskworkergroups"} <= set(read)
    assert all("/" not in path for path in read), read  # collections, never single objects
