"""EndpointSlices of Services; their contents were compared with a real cluster."""

import pytest

from dask_k8s_local.resources import ENDPOINTSLICES, NAMESPACES, PODS, SERVICES

APP = {"app": "web"}
NAMED = {"name": "named", "port": 81, "targetPort": "foo"}
HTTP = {"name": "http", "port": 80, "targetPort": 8080}


@pytest.fixture
def serve(cluster):
    """Create a Service."""

    def make(name="web", *ports, **spec):
        spec = {"selector": APP, "clusterIP": "127.0.0.1", "ports": [*ports], **spec}
        return cluster.make(SERVICES, name, labels={"who": "me"}, spec=spec)

    return make


@pytest.fixture
def start(cluster):
    """Create a pod."""

    def make(name, address, *, ready=True, ports=(), phase="Running", **spec):
        conditions = [{"type": "Ready", "status": str(ready)}]
        status = {"phase": phase, "podIP": address, "conditions": conditions}
        spec = {"nodeName": "node", "containers": [{"name": "c", "ports": [*ports]}], **spec}
        return cluster.make(PODS, name, labels=APP, spec=spec, status=status)

    return make


def slices(cluster, service="web"):
    """Return ports and endpoints (addresses with their conditions)."""
    found = []
    for one in cluster.store.list(ENDPOINTSLICES, "ns"):
        if one["metadata"]["labels"]["kubernetes.io/service-name"] == service:
            endpoints = {each["addresses"][0]: _states(each) for each in one["endpoints"] or ()}
            found.append(([port["port"] for port in one["ports"] or ()], endpoints))
    return sorted(found, key=repr)


def _states(endpoint):
    return " ".join(name for name, met in endpoint["conditions"].items() if met)


async def test_what_a_slice_is(cluster, serve, start, refer):
    service = serve("web", {**HTTP, "appProtocol": "http"})
    pod = start("p", "127.0.0.2", hostname="h", subdomain="web")
    await cluster.eventually(lambda: slices(cluster) == [([8080], {"127.0.0.2": "ready serving"})])
    (found,) = cluster.store.list(ENDPOINTSLICES, "ns")
    metadata = found["metadata"]
    assert metadata["name"].startswith("web-")
    assert metadata["ownerReferences"] == [refer(service, controller=True, blockOwnerDeletion=True)]
    assert metadata["labels"] == {
        "who": "me",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}]
    target = {"kind": "Pod", "name": "p", "namespace": "ns", "uid": pod["metadata"]["uid"]}
    assert found["endpoints"] == [
        {
            "addresses": ["127.0.0.2"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "hostname": "h",
            "nodeName": "node",
            "targetRef": target,
        }
    ]


async def test_nobody_behind_it(cluster, serve):
    serve("web", HTTP)
    await cluster.eventually(lambda: slices(cluster) == [([], {})])
    (found,) = cluster.store.list(ENDPOINTSLICES, "ns")
    assert (found["endpoints"], found["ports"]) == (None, None)


async def test_pods_change(cluster, serve, start):
    serve("web", HTTP)
    start("a", "127.0.0.2")
    start("b", "127.0.0.3", ready=False)
    start("done", "127.0.0.4", phase="Succeeded")
    start("waiting", "")
    await cluster.eventually(
        lambda: slices(cluster) == [([8080], {"127.0.0.2": "ready serving", "127.0.0.3": ""})]
    )
    (before,) = cluster.store.list(ENDPOINTSLICES, "ns")
    cluster.delete(PODS, cluster.get(PODS, "a"))
    await cluster.eventually(
        lambda: slices(cluster) == [([8080], {"127.0.0.2": "serving terminating", "127.0.0.3": ""})]
    )
    cluster.store.delete(PODS, "ns", "a")
    cluster.change(PODS, "b", metadata={"labels": {}})
    await cluster.eventually(lambda: slices(cluster) == [([], {})])
    (after,) = cluster.store.list(ENDPOINTSLICES, "ns")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] > before["metadata"]["generation"]


async def test_named_ports_may_differ(cluster, serve, start):
    serve("web", NAMED, HTTP)
    start("a", "127.0.0.2", ports=[{"name": "foo", "containerPort": 9090}])
    start("b", "127.0.0.3")
    start("c", "127.0.0.4", ports=[{"name": "foo", "containerPort": 9091}])
    await cluster.eventually(
        lambda: (
            slices(cluster)
            == [
                ([8080], {"127.0.0.3": "ready serving"}),
                ([9090, 8080], {"127.0.0.2": "ready serving"}),
                ([9091, 8080], {"127.0.0.4": "ready serving"}),
            ]
        )
    )


async def test_a_slice_holds_a_hundred(cluster, serve, start):
    for number in range(150):
        start(f"p-{number:03}", f"127.0.1.{number}")
    serve("web", HTTP)
    await cluster.eventually(lambda: sorted(len(each) for _, each in slices(cluster)) == [50, 100])


async def test_headless_without_ports_that_publishes_all(cluster, serve, start):
    start("a", "127.0.0.2", ready=False)
    serve("web", clusterIP="None", publishNotReadyAddresses=True)
    await cluster.eventually(lambda: slices(cluster) == [([], {"127.0.0.2": "ready"})])
    (found,) = cluster.store.list(ENDPOINTSLICES, "ns")
    assert "service.kubernetes.io/headless" in found["metadata"]["labels"]


@pytest.mark.parametrize(
    "spec", [{"selector": None}, {"type": "ExternalName"}], ids=["no selector", "external"]
)
async def test_not_our_business(cluster, serve, start, spec):
    start("a", "127.0.0.2")
    serve("other", HTTP, **spec)
    serve("web", HTTP)
    await cluster.eventually(lambda: slices(cluster))
    assert slices(cluster, "other") == []


async def test_what_is_deleted_comes_again(cluster, serve, start):
    start("a", "127.0.0.2")
    serve("web", HTTP)
    await cluster.eventually(lambda: slices(cluster))
    (before,) = cluster.store.list(ENDPOINTSLICES, "ns")
    cluster.delete(ENDPOINTSLICES, before)
    await cluster.eventually(lambda: slices(cluster))


async def test_they_go_with_the_service(cluster, serve):
    service = serve("web", HTTP)
    await cluster.eventually(lambda: slices(cluster))
    cluster.delete(SERVICES, service)
    await cluster.eventually(lambda: not slices(cluster))


async def test_they_go_with_the_namespace(cluster, serve):
    serve("web", HTTP)
    await cluster.eventually(lambda: slices(cluster))
    cluster.delete(NAMESPACES, cluster.get(NAMESPACES, "ns"))
    await cluster.gone(NAMESPACES, "ns")
    await cluster.settled("default")
    assert not slices(cluster)
