"""The pod that we run in, and when it can own a cluster."""

import base64
import json

import pytest

from dask_k8s_client import make_cluster_spec
from dask_k8s_client.api.access import OwnPod, owner_for

ME = OwnPod("here", "me", "00000000-0000-0000-0000-000000000001")


def token(claims):
    parts = ({"alg": "RS256"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in parts), "x"])


BOUND = token({"kubernetes.io": {"namespace": "here", "pod": {"name": ME.name, "uid": ME.uid}}})


@pytest.mark.parametrize(
    "text, creator",
    [
        pytest.param(BOUND, ME, id="of a pod"),
        pytest.param(BOUND.replace("=", ""), ME, id="without padding"),
        pytest.param(token({"kubernetes.io/serviceaccount/namespace": "here"}), None, id="of a secret"),
        pytest.param(token({"kubernetes.io": {"namespace": "here"}}), None, id="of no pod"),
        pytest.param(token("me"), None, id="of another kind"),
        pytest.param("a.%.b", None, id="broken"),
        pytest.param("secret", None, id="opaque"),
        pytest.param("", None, id="empty"),
    ],
)
def test_token(text, creator):
    assert OwnPod.from_token(text) == creator


@pytest.mark.parametrize(
    "creator, namespace, owners, found, warning",
    [
        pytest.param(ME, "here", [], ME, "", id="of its own"),
        pytest.param(ME, "here", [{"name": "other"}], None, "", id="of somebody else's"),
        pytest.param(ME, "there", [], None, "they are in the namespace there", id="elsewhere"),
        pytest.param(None, "here", [], None, "does not say which pod", id="unknown"),
    ],
)
def test_owner(caplog, creator, namespace, owners, found, warning):
    manifest = make_cluster_spec("foo")
    manifest["metadata"]["ownerReferences"] = owners
    for _ in range(2):
        assert owner_for(creator, manifest, namespace) == found
    assert [warning in each for each in caplog.messages] == ([True] if warning else [])


def test_own():
    manifest = make_cluster_spec("foo")
    owned = ME.own(manifest)
    assert owned["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": ME.name, "uid": ME.uid}
    ]
    assert "ownerReferences" not in manifest["metadata"]
