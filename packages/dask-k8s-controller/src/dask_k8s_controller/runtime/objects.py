"""Objects of the Kubernetes API as plain JSON, what identifies one, and who controls it. No I/O."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from dask_k8s_crds.resources import Resource

MAX_NAME = 253
"""The length of the longest name that an object, or a group of resources, can have."""
MAX_UID = 128
"""Longer than any uid or kind: the API server's uids have 36 characters, and kinds at most 63."""

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
            return Owner(
                _identifier(group, MAX_NAME),
                _identifier(reference["kind"], MAX_UID),
                _identifier(reference["name"], MAX_NAME),
                _identifier(reference["uid"], MAX_UID),
            )
    return None


def _identifier(text: str, limit: int) -> str:
    """Return a part of a reference; empty if no object has such a one, since the API server takes any."""
    return text if len(text) <= limit and text.isascii() else ""


def bounded(text: Any, limit: int) -> str:
    """Return the beginning of a text, in at most about ``limit`` bytes; empty if it is not a string.

    The cache keeps strings of objects that anybody may write, and that may have a megabyte.
    """
    if not isinstance(text, str):
        return ""
    if len(text) <= limit and text.isascii():
        return text
    highest = max(text[:limit])
    # As CPython stores a string: all of its characters as wide as the widest one.
    characters = limit // (1 if highest <= "\xff" else 2 if highest <= "\uffff" else 4)
    return text if len(text) <= characters else f"{text[: characters - 3]}..."


def key_of(resource: Resource, body: Body) -> Key:
    """Return the key of an object."""
    metadata = body["metadata"]
    return Key(resource, metadata["namespace"], metadata["name"])
