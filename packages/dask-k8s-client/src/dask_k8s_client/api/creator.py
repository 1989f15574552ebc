"""The pod that we run in, as the owner of what is made there: who it is stands in its token. No requests."""

import base64
import functools
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dask_k8s_client.aliases import JSON

logger = logging.getLogger("dask_k8s_client")


@dataclass(frozen=True, slots=True)
class Creator:
    """A pod."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def of_token(cls, token: str) -> Self | None:
        """The pod that a token of a service account was made for; None for tokens that do not say so.

        Nobody has to permit this, and the host name, which need not be that of the pod, does not matter. What
        the token says is not verified: it is our own.
        """
        try:
            _, claims, _ = token.split(".")
            said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["kubernetes.io"]
            return cls(said["namespace"], said["pod"]["name"], said["pod"]["uid"])
        except (ValueError, LookupError, TypeError):
            return None

    def own(self, manifest: Mapping[str, Any]) -> JSON:
        """The same object as one that goes with this pod.

        Without ``blockOwnerDeletion``, for which some API servers want a permission that users do not have.
        """
        owner = {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}
        return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [owner]}}


def owner(creator: Creator | None, manifest: Mapping[str, Any], namespace: str) -> Creator | None:
    """The pod that a cluster in `namespace` is to go with; where that cannot be, the log says so, once."""
    if manifest["metadata"].get("ownerReferences"):
        return None  # it goes with somebody else
    if creator is None:
        _warn("the token of our service account does not say which pod this is")
    elif creator.namespace != namespace:
        # Kubernetes takes an owner that is not in the same namespace for one that is gone.
        _warn(f"they are in the namespace {namespace}, and this pod is in {creator.namespace}")
    else:
        return creator
    return None


@functools.cache
def _warn(reason: str) -> None:
    logger.warning("clusters that nobody closes stay when this pod is gone: %s", reason)


def release(uid: str) -> JSON:
    """The merge patch after which the object `uid`, and no other of its name, goes with nobody."""
    return {"metadata": {"uid": uid, "ownerReferences": None}}
