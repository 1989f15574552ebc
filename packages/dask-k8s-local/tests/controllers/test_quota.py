"""ResourceQuotas; messages and numbers are those of a real cluster."""

import pytest

from dask_k8s_local.controllers.client import Forbidden
from dask_k8s_local.resources import CONFIGMAPS, LEASES, PODS, RESOURCEQUOTAS, SERVICES, Resource

WIDGETS = Resource("example.com", "v1", "Widget", "widgets")
PORT = {"port": 80}


def container(name="c", requests=None, limits=None):
    return {"name": name, "resources": {"requests": requests or {}, "limits": limits or {}}}


def pod(*containers, **spec):
    return {"spec": {"containers": [*containers] or [container()], **spec}, "status": {"phase": "Pending"}}


@pytest.fixture
def limit(cluster):
    """Create a quota."""

    def make(name="q", *, spec=None, **hard):
        plain = {key.replace("__", "."): value for key, value in hard.items()}
        return cluster.make(RESOURCEQUOTAS, name, spec={"hard": plain, **(spec or {})}, status={})

    return make


@pytest.fixture
def create(cluster):
    """Create an object like the API server, after admission."""

    def make(resource, name, **body):
        draft = {"metadata": {"name": name, "namespace": "ns"}, **body}
        cluster.quotas.admit(resource, draft)
        return cluster.make(resource, name, **body)

    return make


async def used(cluster, name="q"):
    await cluster.eventually(lambda: cluster.get(RESOURCEQUOTAS, name)["status"])
    return cluster.get(RESOURCEQUOTAS, name)["status"]["used"]


async def test_counts(cluster, limit, create):
    limit(configmaps="3", **{"count/leases.coordination.k8s.io": "1"})
    await cluster.eventually(lambda: cluster.get(CONFIGMAPS, "kube-root-ca.crt"))
    create(CONFIGMAPS, "a")
    create(CONFIGMAPS, "b")
    with pytest.raises(Forbidden) as refused:
        create(CONFIGMAPS, "c")
    assert str(refused.value) == (
        'configmaps "c" is forbidden: exceeded quota: q, '
        "requested: configmaps=1, used: configmaps=3, limited: configmaps=3"
    )
    create(LEASES, "a")
    with pytest.raises(Forbidden, match=r"used: count/leases.coordination.k8s.io=1, limited"):
        create(LEASES, "b")
    cluster.store.delete(CONFIGMAPS, "ns", "a")
    create(CONFIGMAPS, "c")


async def test_amounts(limit, create):
    limit(requests__cpu="1", limits__cpu="2", requests__memory="1Gi", limits__memory="2Gi")
    with pytest.raises(Forbidden) as refused:
        create(
            PODS,
            "p",
            **pod(
                container(requests={"cpu": "1500m", "memory": "2Gi"}, limits={"cpu": "3", "memory": "3Gi"})
            ),
        )
    assert str(refused.value) == (
        'pods "p" is forbidden: exceeded quota: q, '
        "requested: limits.cpu=3,limits.memory=3Gi,requests.cpu=1500m,requests.memory=2Gi, "
        "used: limits.cpu=0,limits.memory=0,requests.cpu=0,requests.memory=0, "
        "limited: limits.cpu=2,limits.memory=2Gi,requests.cpu=1,requests.memory=1Gi"
    )


async def test_what_must_be_said(limit, create):
    limit(requests__cpu="1", limits__cpu="2", requests__memory="1Gi", limits__memory="2Gi")
    limit("before", pods="0")
    with pytest.raises(Forbidden) as refused:
        create(PODS, "p", **pod(container("a", requests={"cpu": "100m"}), container("b")))
    assert str(refused.value) == (
        'pods "p" is forbidden: failed quota: q: must specify limits.cpu for: a,b; '
        "limits.memory for: a,b; requests.cpu for: b; requests.memory for: a,b"
    )


async def test_status(cluster, limit, create):
    quota = limit(
        **{"requests.cpu": "3000m", "memory": "2Gi", "pods": "5", "count/pods": "5"},
        **{"count/widgets.example.com": "1", "requests.storage": "1Gi", "requests.nvidia.com/gpu": "2"},
    )
    nothing = {"requests.cpu": "0", "memory": "0", "pods": "0", "count/pods": "0"}
    nothing |= {"requests.storage": "0", "requests.nvidia.com/gpu": "0"}
    assert await used(cluster) == nothing
    hard = cluster.get(RESOURCEQUOTAS, "q")["status"]["hard"]
    assert hard == {**quota["spec"]["hard"], "requests.cpu": "3"}
    requests = {"cpu": "0.25", "memory": "512Mi", "nvidia.com/gpu": "1"}
    for name in ("a", "b"):
        create(
            PODS,
            name,
            **pod(container(requests=requests), container("d", requests={"cpu": 1, "memory": 1024})),
        )
    some = {"requests.cpu": "2500m", "memory": "1048578Ki", "pods": "2", "count/pods": "2"}
    some |= {"requests.storage": "0", "requests.nvidia.com/gpu": "2"}
    await cluster.eventually(lambda: cluster.get(RESOURCEQUOTAS, "q")["status"]["used"] == some)


async def test_a_kind_that_comes_later(cluster, limit, create):
    limit(**{"count/widgets.example.com": "1"})
    assert await used(cluster) == {}
    cluster.serve(WIDGETS)
    create(WIDGETS, "a")
    with pytest.raises(Forbidden, match=r"requested: count/widgets.example.com=1, used"):
        create(WIDGETS, "b")
    expected = {"count/widgets.example.com": "1"}
    await cluster.eventually(lambda: cluster.get(RESOURCEQUOTAS, "q")["status"]["used"] == expected)


async def test_pods_that_ended_leave_room(cluster, limit, create):
    limit(pods="1", **{"count/pods": "2"})
    create(PODS, "a", **pod())
    with pytest.raises(
        Forbidden, match="exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    ):
        create(PODS, "b", **pod())
    cluster.change(PODS, "a", status={"phase": "Succeeded"})
    create(PODS, "b", **pod())
    with pytest.raises(Forbidden, match="requested: count/pods=1,pods=1, used: count/pods=2,pods=1,"):
        create(PODS, "c", **pod())


async def test_each_quota_has_a_say(limit, create):
    limit("a", pods="2")
    limit("b", pods="1")
    create(PODS, "a", **pod())
    with pytest.raises(Forbidden, match="exceeded quota: b"):
        create(PODS, "b", **pod())


async def test_other_namespaces_are_free(cluster, limit):
    limit(pods="0")
    cluster.quotas.admit(PODS, {"metadata": {"name": "p", "namespace": "default"}, **pod()})


async def test_an_update_counts_what_is_more(cluster, limit, create):
    limit(services__nodeports="2", services="1")
    old = create(SERVICES, "web", spec={"type": "NodePort", "ports": [PORT]})
    cluster.quotas.admit(SERVICES, {**old, "spec": {"type": "NodePort", "ports": [PORT] * 2}}, old)
    with pytest.raises(Forbidden, match=r"requested: services.nodeports=2, used: services.nodeports=1,"):
        cluster.quotas.admit(SERVICES, {**old, "spec": {"type": "NodePort", "ports": [PORT] * 3}}, old)


@pytest.mark.parametrize(
    "spec, inside, outside",
    [
        ({"scopes": ["BestEffort"]}, pod(), pod(container(requests={"cpu": "1"}))),
        ({"scopes": ["NotBestEffort"]}, pod(container(limits={"memory": "1"})), pod()),
        ({"scopes": ["Terminating"]}, pod(activeDeadlineSeconds=1), pod()),
        ({"scopes": ["NotTerminating"]}, pod(), pod(activeDeadlineSeconds=1)),
        (
            {"scopes": ["NotTerminating", "BestEffort"]},
            pod(),
            pod(container(requests={"cpu": "1"})),
        ),
    ],
    ids=["best effort", "not", "terminating", "not terminating", "both"],
)
async def test_scopes(limit, create, spec, inside, outside):
    limit(spec=spec, pods="1")
    create(PODS, "a", **inside)
    create(PODS, "b", **outside)
    with pytest.raises(Forbidden):
        create(PODS, "c", **inside)
    create(CONFIGMAPS, "c")


async def test_none_slips_through(cluster, limit, create):
    limit(pods="10")
    admitted = 0
    for number in range(50):
        try:
            create(PODS, f"p-{number}", **pod())
            admitted += 1
        except Forbidden:
            continue
    assert admitted == 10
    await cluster.eventually(lambda: cluster.get(RESOURCEQUOTAS, "q")["status"].get("used") == {"pods": "10"})
