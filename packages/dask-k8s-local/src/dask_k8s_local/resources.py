"""The built-in resources: names, verbs and subresources. Contains no behaviour and no schemas."""

from dataclasses import dataclass, field
from functools import cached_property

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, eq=False)
class Resource:
    """A collection of the API: `pods`, `jobs.batch`, or a custom resource."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = field(default=frozenset())
    singular: str = ""
    list_kind: str = ""
    verbs: tuple[str, ...] = VERBS

    def __post_init__(self) -> None:
        """Derive names that were not passed from the kind."""
        object.__setattr__(self, "singular", self.singular or self.kind.lower())
        object.__setattr__(self, "list_kind", self.list_kind or f"{self.kind}List")

    @cached_property
    def key(self) -> str:
        """Return the name in error messages, such as `pods` or `jobs.batch`; all versions share it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def api_version(self) -> str:
        """Return the value of `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version


def _resource(group: str, kind: str, plural: str, short: str = "", **more: object) -> Resource:
    subresources = frozenset(str(more.pop("sub", "")).split())
    categories = tuple(str(more.pop("categories", "")).split())
    return Resource(
        group=group,
        version="v1",
        kind=kind,
        plural=plural,
        short_names=tuple(short.split()),
        subresources=subresources,
        categories=categories,
        **more,  # type: ignore[arg-type]  # the rest are fields of Resource
    )


_RBAC = "rbac.authorization.k8s.io"

_ONE_BY_ONE = tuple(verb for verb in VERBS if verb != "deletecollection")
NAMESPACES = _resource(
    "", "Namespace", "namespaces", "ns", sub="status finalize", namespaced=False, verbs=_ONE_BY_ONE
)
NODES = _resource("", "Node", "nodes", "no", sub="status", namespaced=False)
PODS = _resource(
    "", "Pod", "pods", "po", sub="status log exec attach portforward binding eviction", categories="all"
)
SERVICES = _resource("", "Service", "services", "svc", sub="status", categories="all")
CONFIGMAPS = _resource("", "ConfigMap", "configmaps", "cm")
SECRETS = _resource("", "Secret", "secrets")
EVENTS = _resource("", "Event", "events", "ev")
SERVICEACCOUNTS = _resource("", "ServiceAccount", "serviceaccounts", "sa")
RESOURCEQUOTAS = _resource("", "ResourceQuota", "resourcequotas", "quota", sub="status")
ENDPOINTSLICES = _resource("discovery.k8s.io", "EndpointSlice", "endpointslices")
LEASES = _resource("coordination.k8s.io", "Lease", "leases")
JOBS = _resource("batch", "Job", "jobs", sub="status", categories="all")
ROLES = _resource(_RBAC, "Role", "roles")
ROLEBINDINGS = _resource(_RBAC, "RoleBinding", "rolebindings")
CLUSTERROLES = _resource(_RBAC, "ClusterRole", "clusterroles", namespaced=False)
CLUSTERROLEBINDINGS = _resource(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
CRDS = _resource(
    "apiextensions.k8s.io",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    "crd crds",
    sub="status",
    categories="api-extensions",
    namespaced=False,
)

BUILTIN: tuple[Resource, ...] = (
    CONFIGMAPS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    CRDS,
    JOBS,
    LEASES,
    ENDPOINTSLICES,
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
)
