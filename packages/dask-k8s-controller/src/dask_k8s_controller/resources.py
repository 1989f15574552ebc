"""Resources of the Kubernetes API as values: where they are found, and the key of one object. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dask_k8s_crds import kinds

Body = Mapping[str, Any]
"""An object as the API server sends it: plain JSON, never mutated."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A namespaced resource of the API server.

    ``group`` is empty for the core group; ``plural`` is the word in the URL.
    """

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """The value of ``apiVersion`` in manifests, for example ``apps/v1`` or ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """The name that no other resource has, for example ``daskclusters.kubernetes.dask.org``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of its subresource; None is all namespaces."""
        parts = ["", "apis", self.group, self.version] if self.group else ["", "api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/".join(parts)

    def __str__(self) -> str:
        """The full name, as kubectl takes it."""
        return self.full_name


class Key(NamedTuple):
    """The name of one object: all that a reconcile is told about what happened."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        """Kind, namespace and name, as logs show it."""
        return f"{self.resource.kind} {self.namespace}/{self.name}"


def of_kind(kind: kinds.Kind) -> Resource:
    """Return the resource of a kind."""
    return Resource(kind.group, kind.version, kind.kind, kind.plural)


def key_of(resource: Resource, body: Body) -> Key:
    """Return the key of an object."""
    metadata = body["metadata"]
    return Key(resource, metadata["namespace"], metadata["name"])


PODS = Resource("", "v1", "Pod", "pods")
SERVICES = Resource("", "v1", "Service", "services")
SECRETS = Resource("", "v1", "Secret", "secrets")
EVENTS = Resource("", "v1", "Event", "events")
DASK_CLUSTERS = of_kind(kinds.DASK_CLUSTER)
DASK_WORKER_GROUPS = of_kind(kinds.DASK_WORKER_GROUP)
