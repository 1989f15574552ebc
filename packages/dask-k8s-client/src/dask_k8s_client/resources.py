"""The resources of the Kubernetes API that a client meets: their paths, and which of them. No requests."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

from dask_k8s_crds import kinds


@dataclass(frozen=True, slots=True)
class Resource:
    """A namespaced resource of the API."""

    prefix: str
    plural: str

    def path(self, namespace: str, *more: str) -> str:
        """Of the collection, of one object in it, or of a subresource."""
        return "/".join(
            [self.prefix, "namespaces", *(quote(each, safe="") for each in (namespace, self.plural, *more))]
        )


CLUSTERS = Resource(f"/apis/{kinds.API_VERSION}", kinds.DASK_CLUSTER.plural)
GROUPS = Resource(f"/apis/{kinds.API_VERSION}", kinds.DASK_WORKER_GROUP.plural)
AUTOSCALERS = Resource(f"/apis/{kinds.API_VERSION}", kinds.DASK_AUTOSCALER.plural)
JOBS = Resource(f"/apis/{kinds.API_VERSION}", kinds.DASK_JOB.plural)
PODS = Resource("/api/v1", "pods")
SERVICES = Resource("/api/v1", "services")
EVENTS = Resource("/api/v1", "events")


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
