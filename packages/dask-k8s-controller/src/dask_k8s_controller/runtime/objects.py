"""Objects of the Kubernetes API as plain JSON, what identifies one, and who controls it. No I/O."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from dask_k8s_crds.resources import Resource

Body = Mapping[str, Any]
"""An object as the API server sends it: plain JSON, never mutated."""


class Key(NamedTuple):
    """Identifies one object by resource, namespace and name; entries of the work queue are keys."""

    resource: Resource
    namespace: str
    name: str

    def path(self, subresource: str | None = None) -> str:
        """Return the URL path of the object or of one of its subresources."""
        return self.resource.path(self.namespace, self.name, subresource)

    @property
    def collection_path(self) -> str:
        """The URL path of all objects of the resource in the namespace."""
        return self.resource.path(self.namespace)

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"


class Owner(NamedTuple):
    """An object as an owner reference names it; it is always in the namespace of the objects that it owns."""

    group: str
    kind: str
    name: str
    uid: str

    @classmethod
    def of(cls, key: Key, uid: str) -> Self:
        """Return how owner references name the object with this key and uid."""
        return cls(key.resource.group, key.resource.kind, key.name, uid)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def controller_of(body: Body) -> Owner | None:
    """Return the controlling owner that an object names, None if it names none.

    Anybody who may create an object may name any owner: it counts only in the namespace of the owner, and
    only if all fields agree.
    """
    for reference in body["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            group, _, _ = reference["apiVersion"].rpartition("/")
            return Owner(group, reference["kind"], reference["name"], reference["uid"])
    return None


def key_of(resource: Resource, body: Body) -> Key:
    """Return the key of an object."""
    metadata = body["metadata"]
    return Key(resource, metadata["namespace"], metadata["name"])
