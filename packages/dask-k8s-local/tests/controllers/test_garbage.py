"""The garbage collector; every case was checked on a real cluster."""

import pytest

from dask_k8s_local.resources import CLUSTERROLES, CONFIGMAPS, EVENTS, NAMESPACES, PODS, SECRETS, Resource

WIDGETS = Resource("example.com", "v1", "Widget", "widgets")
HOLD = "example.com/hold"
NAMESPACE = (NAMESPACES, None, "default")


def names(cluster):
    return {one["metadata"]["name"] for one in cluster.store.list(CONFIGMAPS, "ns")} - {"kube-root-ca.crt"}


async def test_dependents_follow_their_owner(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    dependent = cluster.make(SECRETS, "b", owners=[refer(owner)])
    cluster.make(CONFIGMAPS, "c", owners=[refer(dependent)])
    await cluster.settled()
    cluster.delete(CONFIGMAPS, owner)
    await cluster.gone(SECRETS, "b")
    await cluster.gone(CONFIGMAPS, "c")


async def test_many_dependents(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    made = [f"d-{number}" for number in range(500)]
    for name in made:
        cluster.make(CONFIGMAPS, name, owners=[refer(owner)])
    cluster.delete(CONFIGMAPS, owner)
    await cluster.gone(CONFIGMAPS, *made)


@pytest.mark.parametrize(
    "changes", [{"uid": "11111111-1111-1111-1111-111111111111"}, {"name": "b"}], ids=["uid", "name"]
)
async def test_an_owner_that_does_not_exist(cluster, refer, changes):
    owner = cluster.make(CONFIGMAPS, "a")
    cluster.make(CONFIGMAPS, "c", owners=[{**refer(owner), **changes}])
    await cluster.gone(CONFIGMAPS, "c")


async def test_an_owner_added_later_that_does_not_exist(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    cluster.delete(CONFIGMAPS, owner)
    cluster.make(CONFIGMAPS, "b")
    await cluster.settled()
    cluster.change(CONFIGMAPS, "b", metadata={"ownerReferences": [refer(owner)]})
    await cluster.gone(CONFIGMAPS, "b")


async def test_an_owner_of_an_unknown_kind(cluster, refer):
    owner = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "uid": "1"}
    cluster.make(CONFIGMAPS, "b", owners=[owner])
    await cluster.settled()
    assert names(cluster) == {"b"}
    cluster.serve(WIDGETS)
    await cluster.gone(CONFIGMAPS, "b")


async def test_an_owner_in_another_namespace(cluster, refer):
    await cluster.eventually(lambda: cluster.get(CONFIGMAPS, "kube-root-ca.crt", "default"))
    owner = cluster.get(CONFIGMAPS, "kube-root-ca.crt", "default")
    await cluster.settled()
    cluster.make(CONFIGMAPS, "b", owners=[refer(owner)])
    await cluster.gone(CONFIGMAPS, "b")
    (event,) = cluster.store.list(EVENTS, "ns")
    assert event["reason"] == "OwnerRefInvalidNamespace"
    assert event["message"] == (
        f"ownerRef [v1/ConfigMap, namespace: ns, name: kube-root-ca.crt, uid: {owner['metadata']['uid']}] "
        'does not exist in namespace "ns"'
    )


async def test_a_namespaced_owner_of_what_has_no_namespace(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    cluster.make(CLUSTERROLES, "b", owners=[refer(owner)])
    cluster.delete(CONFIGMAPS, owner)
    await cluster.settled()
    assert cluster.get(CLUSTERROLES, "b")


async def test_of_two_owners_one_goes(cluster, refer):
    one, two = cluster.make(CONFIGMAPS, "a"), cluster.make(CONFIGMAPS, "b")
    cluster.make(CONFIGMAPS, "c", owners=[refer(one), refer(two)])
    cluster.delete(CONFIGMAPS, one)
    await cluster.eventually(lambda: cluster.metadata(CONFIGMAPS, "c")["ownerReferences"] == [refer(two)])
    cluster.delete(CONFIGMAPS, two)
    await cluster.gone(CONFIGMAPS, "c")


async def test_an_owner_that_waits_for_its_finalizer_is_still_there(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a", finalizers=[HOLD])
    cluster.make(CONFIGMAPS, "b", owners=[refer(owner)])
    cluster.delete(CONFIGMAPS, owner)
    await cluster.settled()
    assert names(cluster) == {"a", "b"}
    cluster.change(CONFIGMAPS, "a", metadata={"finalizers": []})
    await cluster.gone(CONFIGMAPS, "b")


async def test_orphans_stay(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    cluster.make(CONFIGMAPS, "b", owners=[refer(owner)])
    cluster.delete(CONFIGMAPS, owner, "Orphan")
    assert cluster.metadata(CONFIGMAPS, "a")["finalizers"] == ["orphan"]
    await cluster.gone(CONFIGMAPS, "a")
    assert "ownerReferences" not in cluster.metadata(CONFIGMAPS, "b")
    await cluster.settled()
    assert names(cluster) == {"b"}


async def test_foreground_waits_for_what_blocks(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    blocking = cluster.make(
        CONFIGMAPS, "b", owners=[refer(owner, blockOwnerDeletion=True)], finalizers=[HOLD]
    )
    cluster.make(CONFIGMAPS, "c", owners=[refer(owner)], finalizers=[HOLD])
    cluster.make(CONFIGMAPS, "d", owners=[refer(blocking, blockOwnerDeletion=True)])
    cluster.delete(CONFIGMAPS, owner, "Foreground")
    await cluster.gone(CONFIGMAPS, "d")
    await cluster.settled()
    assert cluster.metadata(CONFIGMAPS, "a")["finalizers"] == ["foregroundDeletion"]
    assert cluster.metadata(CONFIGMAPS, "b")["finalizers"] == [HOLD]
    assert cluster.metadata(CONFIGMAPS, "c")["deletionTimestamp"]
    cluster.change(CONFIGMAPS, "b", metadata={"finalizers": []})
    await cluster.gone(CONFIGMAPS, "a", "b")
    assert names(cluster) == {"c"}


async def test_foreground_deletion_continues_when_a_dependent_changes_its_owner(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    cluster.make(CONFIGMAPS, "b", owners=[refer(owner, blockOwnerDeletion=True)], finalizers=[HOLD])
    cluster.delete(CONFIGMAPS, owner, "Foreground")
    await cluster.settled()
    cluster.change(CONFIGMAPS, "b", metadata={"ownerReferences": [refer(owner)]})
    await cluster.gone(CONFIGMAPS, "a")


async def test_foreground_spares_what_another_owns(cluster, refer):
    one, two = cluster.make(CONFIGMAPS, "a"), cluster.make(CONFIGMAPS, "b")
    cluster.make(CONFIGMAPS, "c", owners=[refer(one, blockOwnerDeletion=True), refer(two)])
    cluster.delete(CONFIGMAPS, one, "Foreground")
    await cluster.gone(CONFIGMAPS, "a")
    assert cluster.metadata(CONFIGMAPS, "c")["ownerReferences"] == [refer(two)]


async def test_two_that_own_each_other(cluster, refer):
    one = cluster.make(CONFIGMAPS, "a")
    two = cluster.make(CONFIGMAPS, "b", owners=[refer(one, blockOwnerDeletion=True)])
    cluster.change(CONFIGMAPS, "a", metadata={"ownerReferences": [refer(two, blockOwnerDeletion=True)]})
    await cluster.settled()
    cluster.delete(CONFIGMAPS, one, "Foreground")
    await cluster.gone(CONFIGMAPS, "a", "b")


async def test_pods_get_their_grace(cluster, refer):
    owner = cluster.make(CONFIGMAPS, "a")
    spec = {"nodeName": "node", "terminationGracePeriodSeconds": 7, "containers": [{"name": "c"}]}
    cluster.make(PODS, "p", owners=[refer(owner)], spec=spec, status={"phase": "Running"})
    cluster.delete(CONFIGMAPS, owner)
    await cluster.eventually(lambda: "deletionTimestamp" in cluster.metadata(PODS, "p"))
    assert cluster.metadata(PODS, "p")["deletionGracePeriodSeconds"] == 7


async def test_custom_resources(cluster, refer):
    crd = cluster.serve(WIDGETS)
    await cluster.settled()
    owner = cluster.make(WIDGETS, "w")
    cluster.make(CONFIGMAPS, "b", owners=[refer(owner)])
    cluster.make(WIDGETS, "v", owners=[refer(owner)])
    await cluster.settled()
    assert names(cluster) == {"b"}
    cluster.delete(WIDGETS, owner)
    await cluster.gone(WIDGETS, "v")
    await cluster.gone(CONFIGMAPS, "b")
    cluster.stop_serving(crd)
    await cluster.settled()


async def test_an_owner_goes_with_its_kind(cluster, refer):
    crd = cluster.serve(WIDGETS)
    await cluster.settled()
    owner = cluster.make(WIDGETS, "w")
    cluster.make(CONFIGMAPS, "b", owners=[refer(owner)])
    await cluster.settled()
    cluster.stop_serving(crd)
    await cluster.gone(CONFIGMAPS, "b")


async def test_default_cannot_be_collected(cluster, refer):
    owner = cluster.make(CLUSTERROLES, "a")
    default = cluster.store.get(*NAMESPACE)
    cluster.store.update(
        NAMESPACE[0], {**default, "metadata": {**default["metadata"], "ownerReferences": [refer(owner)]}}
    )
    cluster.delete(CLUSTERROLES, owner)
    await cluster.settled()
    assert "deletionTimestamp" not in cluster.store.get(*NAMESPACE)["metadata"]
