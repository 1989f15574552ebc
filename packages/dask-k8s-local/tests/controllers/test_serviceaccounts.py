"""The service account and the certificate of the API server in each namespace."""

import pytest

from dask_k8s_local.controllers.namespaces import initial
from dask_k8s_local.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS

EXPECTED = [(SERVICEACCOUNTS, "default"), (CONFIGMAPS, "kube-root-ca.crt")]
ids = [resource.plural for resource, _ in EXPECTED]


@pytest.mark.parametrize("resource, name", EXPECTED, ids=ids)
async def test_it_comes_and_comes_again(cluster, resource, name):
    await cluster.eventually(lambda: cluster.get(resource, name))
    assert cluster.store.get(resource, "kube-system", name)
    first = cluster.metadata(resource, name)["uid"]
    cluster.store.delete(resource, "ns", name)
    await cluster.eventually(lambda: cluster.get(resource, name))
    assert cluster.metadata(resource, name)["uid"] != first


async def test_the_certificate_is_put_right(cluster):
    await cluster.eventually(lambda: cluster.get(CONFIGMAPS, "kube-root-ca.crt"))
    cluster.change(CONFIGMAPS, "kube-root-ca.crt", data={"ca.crt": "another"})
    await cluster.eventually(lambda: cluster.get(CONFIGMAPS, "kube-root-ca.crt")["data"] == {"ca.crt": "PEM"})


async def test_not_in_a_namespace_that_ends(cluster):
    await cluster.eventually(lambda: cluster.get(SERVICEACCOUNTS, "default"))
    cluster.make(CONFIGMAPS, "held", finalizers=["example.com/hold"])
    cluster.delete(NAMESPACES, cluster.get(NAMESPACES, "ns"))
    await cluster.gone(SERVICEACCOUNTS, "default")
    cluster.store.create(NAMESPACES, initial("later"))
    await cluster.eventually(lambda: cluster.store.get(SERVICEACCOUNTS, "later", "default"))
    assert not cluster.get(SERVICEACCOUNTS, "default")
