"""The strategy of ResourceQuotas: validation of limits and scopes. Scope selectors are not supported."""

from collections.abc import Iterable, Iterator

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import resource_lists
from dask_k8s_local.strategy.base import Object
from dask_k8s_local.strategy.simple_kinds import ReturnsDeleted

_COMPUTE = frozenset(
    {"cpu", "memory", *(f"{kind}.{what}" for kind in ("limits", "requests") for what in ("cpu", "memory"))}
)
_OF_PODS = _COMPUTE | {"pods"}

_SCOPES = {
    "BestEffort": frozenset({"pods"}),
    "NotBestEffort": _OF_PODS,
    "NotTerminating": _OF_PODS,
    "Terminating": _OF_PODS,
}
"""Each scope, with the resources that a quota can limit in it."""
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"NotTerminating", "Terminating"})


class ResourceQuotas(ReturnsDeleted):
    """The strategy of ResourceQuotas."""

    def prepare_create(self, obj: Object) -> None:
        """Set an empty status."""
        obj["status"] = {}

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate limits and scopes."""
        spec = obj["spec"]
        limits: dict[str, str] = spec.get("hard") or {}
        for name, limit in limits.items():
            yield from _limit(name, limit, f"spec.hard[{name}]")
        if scopes := spec.get("scopes"):
            yield from _scopes(scopes, limits)
        if spec.get("scopeSelector"):
            yield problems.forbidden("spec.scopeSelector", "dask-k8s-local supports `scopes` only")

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Validate a changed quota; the scopes are immutable."""
        scopes, before = obj["spec"].get("scopes") or [], old["spec"].get("scopes") or []
        if set(scopes) != set(before):
            yield problems.invalid("spec.scopes", scopes, "field is immutable")
        yield from self.validate(obj)


def _limit(name: str, limit: str, path: str) -> Iterator[Problem]:
    known = name in resource_lists.OF_QUOTAS
    yield from resource_lists.validate_name(name, path, known=known, of="quota")
    yield from resource_lists.validate(name, limit, path)


def _scopes(scopes: list[str], limits: Iterable[str]) -> Iterator[Problem]:
    for scope in scopes:
        if scope not in _SCOPES:
            yield problems.invalid("spec.scopes", scopes, "unsupported scope")
        for _ in _outside(scope, limits):
            yield problems.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    if any(pair.issubset(scopes) for pair in _CONFLICTS):
        yield problems.invalid("spec.scopes", scopes, "conflicting scopes")


def _outside(scope: str, limits: Iterable[str]) -> list[str]:
    """Return the standard resources that cannot be limited in a scope."""
    inside = _SCOPES.get(scope, resource_lists.OF_QUOTAS)
    return [name for name in limits if name in resource_lists.OF_QUOTAS and name not in inside]
