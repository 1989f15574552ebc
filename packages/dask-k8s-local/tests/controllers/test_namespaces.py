"""Deletion of namespaces; messages and order are those of a real cluster."""

import pytest

from dask_k8s_local.controllers.client import Forbidden
from dask_k8s_local.controllers.namespaces import reject_protected, reject_terminating_namespace
from dask_k8s_local.resources import (
    CONFIGMAPS,
    NAMESPACES,
    PODS,
    ROLES,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from dask_k8s_local.store import NotFound

HOLD = "example.com/hold"
WIDGETS = Resource("example.com", "v1", "Widget", "widgets")


@pytest.fixture
def end(cluster):
    """Delete the namespace."""
    return lambda: cluster.delete(NAMESPACES, cluster.get(NAMESPACES, "ns"))


def conditions(cluster):
    found = cluster.get(NAMESPACES, "ns")["status"].get("conditions") or ()
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in found}


async def test_those_of_every_cluster(cluster):
    names = {one["metadata"]["name"] for one in cluster.store.list(NAMESPACES)}
    assert names == {"default", "kube-node-lease", "kube-public", "kube-system", "ns"}
    default = cluster.get(NAMESPACES, "default")
    assert default["metadata"]["labels"] == {"kubernetes.io/metadata.name": "default"}
    assert default["spec"] == {"finalizers": ["kubernetes"]}
    assert default["status"] == {"phase": "Active"}


async def test_everything_in_it_goes_with_it(cluster, end):
    await cluster.eventually(lambda: cluster.get(CONFIGMAPS, "kube-root-ca.crt"))
    cluster.serve(WIDGETS)
    for resource in (CONFIGMAPS, ROLES, WIDGETS):
        cluster.make(resource, "a")
    cluster.make(SERVICES, "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]})
    end()
    assert cluster.get(NAMESPACES, "ns")["status"] == {"phase": "Terminating"}
    await cluster.gone(NAMESPACES, "ns")
    for resource in cluster.resources():
        assert not cluster.store.list(resource, "ns"), resource.key


async def test_what_is_there_meanwhile(cluster, end):
    cluster.make(CONFIGMAPS, "held", finalizers=[HOLD])
    cluster.make(CONFIGMAPS, "held too", finalizers=[HOLD, "example.com/other"])
    cluster.serve(WIDGETS)
    cluster.make(WIDGETS, "held", finalizers=[HOLD])
    end()
    await cluster.eventually(lambda: conditions(cluster))
    found = conditions(cluster)
    assert [*found] == [
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
    ]
    status, reason, message = found["NamespaceContentRemaining"]
    assert (status, reason) == ("True", "SomeResourcesRemain")
    assert message == (
        "Some resources are remaining: configmaps. has 2 resource instances, "
        "widgets.example.com has 1 resource instances"
    )
    status, reason, message = found["NamespaceFinalizersRemaining"]
    assert (status, reason) == ("True", "SomeFinalizersRemain")
    assert message == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 3 resource instances, "
        "example.com/other in 1 resource instances"
    )
    for resource, name in ((CONFIGMAPS, "held"), (CONFIGMAPS, "held too"), (WIDGETS, "held")):
        cluster.change(resource, name, metadata={"finalizers": []})
    await cluster.gone(NAMESPACES, "ns")


async def test_pods_end_first(cluster, end):
    cluster.make(CONFIGMAPS, "a")
    cluster.make(PODS, "p", finalizers=[HOLD], spec={}, status={})
    end()
    await cluster.eventually(lambda: conditions(cluster))
    assert cluster.metadata(PODS, "p")["deletionTimestamp"]
    assert cluster.get(CONFIGMAPS, "a")
    assert conditions(cluster)["NamespaceContentRemaining"][0] == "False"
    cluster.change(PODS, "p", metadata={"finalizers": []})
    await cluster.gone(NAMESPACES, "ns")
    assert not cluster.get(CONFIGMAPS, "a")


async def test_finalizers_of_its_own(cluster, end):
    cluster.change(NAMESPACES, "ns", metadata={"finalizers": [HOLD]})
    end()
    await cluster.eventually(lambda: not cluster.get(NAMESPACES, "ns")["spec"]["finalizers"])
    assert not cluster.get(SERVICEACCOUNTS, "default")
    cluster.change(NAMESPACES, "ns", metadata={"finalizers": []})
    assert not cluster.get(NAMESPACES, "ns")


async def test_one_of_the_same_name_may_follow(cluster, end):
    cluster.make(CONFIGMAPS, "a")
    end()
    await cluster.gone(NAMESPACES, "ns")
    cluster.make(NAMESPACES, "ns", spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
    await cluster.eventually(lambda: cluster.get(SERVICEACCOUNTS, "default"))
    assert not cluster.get(CONFIGMAPS, "a")


async def test_nothing_begins_in_one_that_ends(cluster, end):
    cluster.make(CONFIGMAPS, "held", finalizers=[HOLD])
    reject_terminating_namespace(cluster.store, CONFIGMAPS, "ns", "x")
    end()
    with pytest.raises(Forbidden) as refused:
        reject_terminating_namespace(cluster.store, ROLES, "ns", "x")
    assert str(refused.value) == (
        'roles.rbac.authorization.k8s.io "x" is forbidden: '
        "unable to create new content in namespace ns because it is being terminated"
    )
    assert refused.value.causes == (
        {
            "reason": "NamespaceTerminating",
            "message": "namespace ns is being terminated",
            "field": "metadata.namespace",
        },
    )
    with pytest.raises(NotFound):
        reject_terminating_namespace(cluster.store, CONFIGMAPS, "elsewhere", "x")


@pytest.mark.parametrize("name", ["default", "kube-public", "kube-system"])
def test_the_cluster_needs_these(name):
    with pytest.raises(
        Forbidden, match=f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    ):
        reject_protected(name)
    reject_protected("kube-node-lease")
