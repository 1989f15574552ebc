"""The resources of the Kubernetes API that a client meets: their paths, and which of them. No requests."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from dask_k8s_crds import resources


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API."""

    prefix: str
    plural: str

    def path(self, namespace: str | None, *more: str) -> str:
        """Of the collection, of one object in it, or of a subresource; None: the one of all namespaces."""
        where = () if namespace is None else ("namespaces", namespace)
        return "/".join([self.prefix, *(quote(each, safe="") for each in (*where, self.plural, *more))])


CLUSTERS = Resource(f"/apis/{resources.API_VERSION}", resources.DASK_CLUSTERS.plural)
GROUPS = Resource(f"/apis/{resources.API_VERSION}", resources.DASK_WORKER_GROUPS.plural)
AUTOSCALERS = Resource(f"/apis/{resources.API_VERSION}", resources.DASK_AUTOSCALERS.plural)
JOBS = Resource(f"/apis/{resources.API_VERSION}", resources.DASK_JOBS.plural)
PODS = Resource("/api/v1", "pods")
SERVICES = Resource("/api/v1", "services")
EVENTS = Resource("/api/v1", "events")
NODES = Resource("/api/v1", "nodes")
"""Of no namespace: None."""


@dataclass(frozen=True, slots=True)
class Among:
    """Which objects of a collection."""

    labels: str = ""
    fields: str = ""

    @classmethod
    def named(cls, name: str) -> Self:
        """The one of this name."""
        return cls(fields=f"metadata.name={name}")

    @property
    def params(self) -> dict[str, str]:
        """As query parameters."""
        given = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {key: value for key, value in given.items() if value}


ALL = Among()
