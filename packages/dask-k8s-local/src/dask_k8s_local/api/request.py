"""A request, parsed from its path and query. Does not look up objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dask_k8s_local.api import errors
from dask_k8s_local.api.catalog import Catalog, Served
from dask_k8s_local.schema import problems

_OPTIONS = {
    "POST": "CreateOptions",
    "PUT": "UpdateOptions",
    "PATCH": "PatchOptions",
}
"""The options in a query; those of DELETE can also be in its body (see `delete_options`)."""
_FIELD_VALIDATIONS = frozenset({"Ignore", "Strict", "Warn"})
_MANAGER_MAX = 128


@dataclass(slots=True)
class Request:
    """A request for a collection, an object or a subresource."""

    method: str
    served: Served
    namespace: str | None
    name: str
    subresource: str
    query: Mapping[str, str]
    content_type: str = ""
    accept: str = ""
    user_agent: str = ""
    user: str = "kubernetes-admin"
    warnings: list[str] = field(default_factory=list)

    @property
    def dry_run(self) -> bool:
        """Return whether the request must not store anything."""
        return self.query.get("dryRun") == "All"

    @property
    def field_manager(self) -> str:
        """Return the `fieldManager` parameter, or the name of the client program."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"

    @property
    def field_validation(self) -> str:
        """Return how unknown fields are treated."""
        return self.query.get("fieldValidation") or "Warn"

    def check_options(self) -> None:
        """Raise StatusError for options with an unsupported value."""
        kind = _OPTIONS.get(self.method)
        if kind is None:
            return
        found = []
        if (dry_run := self.query.get("dryRun")) not in {None, "", "All"}:
            found.append(problems.not_supported("dryRun", [dry_run], ["All"]))
        if len(self.field_manager) > _MANAGER_MAX:
            found.append(problems.too_long("fieldManager", _MANAGER_MAX))
        if self.field_validation not in _FIELD_VALIDATIONS:
            supported = ("", *sorted(_FIELD_VALIDATIONS))
            found.append(problems.not_supported("fieldValidation", self.field_validation, supported))
        if found:
            raise errors.invalid("meta.k8s.io", kind, "", found)

    def flag(self, name: str) -> bool:
        """Return a boolean parameter of the query."""
        return self.query.get(name, "").lower() in {"true", "1"}


def parse(catalog: Catalog, method: str, path: str, query: Mapping[str, str]) -> Request:
    """Parse a path below /api or /apis."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    else:
        group, version, rest = parts[1], parts[2], parts[3:]
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and (group or rest[2] not in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    served = catalog.find(group, version, rest[0])
    if served is None:
        raise errors.no_such_resource()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in served.resource.subresources:
        raise errors.no_such_resource()
    if not served.resource.namespaced and namespace is not None:
        raise errors.no_such_resource()
    if served.resource.namespaced and namespace is None and name:
        raise errors.no_such_resource()
    return Request(method, served, namespace, name, subresource, query)
