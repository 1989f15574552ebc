"""Objects of the Kubernetes API as plain JSON, and the key that identifies one. No I/O."""

from collections.abc import Mapping
from typing import Any, NamedTuple

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


def key_of(resource: Resource, body: Body) -> Key:
    """Return the key of an object."""
    metadata = body["metadata"]
    return Key(resource, metadata["namespace"], metadata["name"])
