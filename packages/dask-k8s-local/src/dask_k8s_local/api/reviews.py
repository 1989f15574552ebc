"""Access and authentication reviews (`kubectl auth can-i`, `whoami`).

Everything is allowed, nothing is stored.
"""

from collections.abc import Callable
from typing import Any

from dask_k8s_local.resources import Resource
from dask_k8s_local.store import Object, timestamp

_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
_GROUPS = ["system:masters", "system:authenticated"]
_EVERYTHING = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}

Answer = Callable[[str], dict[str, Any]]


def _review(group: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(group, "v1", kind, f"{kind.lower()}s", namespaced=namespaced, verbs=("create",))


def _allowed(_: str) -> dict[str, Any]:
    return {"allowed": True}


def _who(user: str) -> dict[str, Any]:
    return {"userInfo": {"username": user, "groups": _GROUPS}}


REVIEWS: dict[Resource, Answer] = {
    _review(_AUTHORIZATION, "SelfSubjectAccessReview"): _allowed,
    _review(_AUTHORIZATION, "SubjectAccessReview"): _allowed,
    _review(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True): _allowed,
    _review(_AUTHORIZATION, "SelfSubjectRulesReview"): lambda _: _EVERYTHING,
    _review(_AUTHENTICATION, "SelfSubjectReview"): _who,
}


def answer(resource: Resource, review: Object, user: str) -> Object:
    """Return a review with its status."""
    metadata = {**(review.get("metadata") or {}), "creationTimestamp": timestamp()}
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        **({"spec": review["spec"]} if "spec" in review else {}),
        "status": REVIEWS[resource](user),
    }
