"""Resources of the Kubernetes API, ours and the built-in ones that our packages use: names and URL paths."""

from dataclasses import dataclass
from urllib.parse import quote

GROUP = "kubernetes.dask.org"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the Kubernetes API.

    Attributes:
        group: The API group, empty for the core group.
        version: The version within the group, for example ``v1``.
        kind: The kind as manifests name it, for example ``DaskCluster``.
        plural: The name in URLs and RBAC rules, for example ``daskclusters``.
        short_names: Further names that kubectl accepts for a custom resource.
    """

    group: str
    version: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The value of ``apiVersion`` in manifests, for example ``apps/v1`` or ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The singular that kubectl accepts: the kind in lower case."""
        return self.kind.lower()

    @property
    def full_name(self) -> str:
        """The unambiguous name, for example ``daskclusters.kubernetes.dask.org``; a CRD has it too."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of the collection, of one object, or of its subresource.

        ``namespace`` None means all namespaces, or a resource that has no namespace.
        """
        parts = ["", "apis", self.group, self.version] if self.group else ["", "api", self.version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
        return "/".join(parts)

    def __str__(self) -> str:
        return self.full_name


DASK_CLUSTERS = Resource(GROUP, VERSION, "DaskCluster", "daskclusters", ("daskcluster", "dsk"))
"""Its CRD has always listed "daskcluster" as a short name too, although that is the singular."""
DASK_WORKER_GROUPS = Resource(GROUP, VERSION, "DaskWorkerGroup", "daskworkergroups", ("daskworkers",))
DASK_AUTOSCALERS = Resource(GROUP, VERSION, "DaskAutoscaler", "daskautoscalers")
DASK_JOBS = Resource(GROUP, VERSION, "DaskJob", "daskjobs", ("djb",))
CUSTOM_RESOURCES = (DASK_CLUSTERS, DASK_WORKER_GROUPS, DASK_AUTOSCALERS, DASK_JOBS)

PODS = Resource("", "v1", "Pod", "pods")
SERVICES = Resource("", "v1", "Service", "services")
SECRETS = Resource("", "v1", "Secret", "secrets")
EVENTS = Resource("", "v1", "Event", "events")
NODES = Resource("", "v1", "Node", "nodes")
JOBS = Resource("batch", "v1", "Job", "jobs")
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
