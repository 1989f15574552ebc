"""ResourceQuotas: what may be limited, and in which scopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import amounts
from dask_k8s_local.strategy.base import Object
from dask_k8s_local.strategy.small import ReturnsDeleted

_COMPUTE = frozenset(
    {"cpu", "memory", *(f"{kind}.{what}" for kind in ("limits", "requests") for what in ("cpu", "memory"))}
)
_HUGE = ("hugepages-", "requests.hugepages-")
_OF_PODS = _COMPUTE | {"pods"}

# Each scope, with what may be limited in it, and whether it is one that merely exists.
_SCOPES: dict[str, tuple[frozenset[str], bool]] = {
    "BestEffort": (frozenset({"pods"}), True),
    "CrossNamespacePodAffinity": (_OF_PODS, True),
    "NotBestEffort": (_OF_PODS, True),
    "NotTerminating": (_OF_PODS, True),
    "PriorityClass": (_OF_PODS, False),
    "Terminating": (_OF_PODS, True),
}
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"NotTerminating", "Terminating"})
_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
    "ResourceQuotaScopeCrossNamespacePodAffinity"
)
_SOME = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
_NONE = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"


class ResourceQuotas(ReturnsDeleted):
    """Quotas."""

    def prepare_create(self, obj: Object) -> None:
        """Begin with nothing counted."""
        obj["status"] = {}

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Judge limits and scopes."""
        spec = obj["spec"]
        limits: dict[str, str] = spec.get("hard") or {}
        for name, limit in limits.items():
            yield from _limit(name, limit, f"spec.hard[{name}]")
        if scopes := spec.get("scopes"):
            yield from _scopes(scopes, limits)
        if selector := spec.get("scopeSelector"):
            yield from _selector(selector.get("matchExpressions") or (), limits)

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Keep the scopes."""
        scopes, before = obj["spec"].get("scopes") or [], old["spec"].get("scopes") or []
        if set(scopes) != set(before):
            yield problems.invalid("spec.scopes", scopes, "field is immutable")
        yield from self.validate(obj)


def _limit(name: str, limit: str, path: str) -> Iterator[Problem]:
    known = name in amounts.OF_QUOTAS or name.startswith(_HUGE)
    yield from amounts.validate_name(name, path, known=known, of="quota")
    yield from amounts.validate(name, limit, path)


def _scopes(scopes: list[str], limits: Iterable[str]) -> Iterator[Problem]:
    for scope in scopes:
        if scope not in _SCOPES:
            yield problems.invalid("spec.scopes", scopes, "unsupported scope")
        for _ in _outside(scope, limits):
            yield problems.invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    if any(pair.issubset(scopes) for pair in _CONFLICTS):
        yield problems.invalid("spec.scopes", scopes, "conflicting scopes")


def _selector(requirements: Iterable[Object], limits: Iterable[str]) -> Iterator[Problem]:
    path = "spec.scopeSelector.matchExpressions"
    for requirement in requirements:
        scope, operator = requirement.get("scopeName", ""), requirement.get("operator", "")
        values = requirement.get("values") or []
        if scope not in _SCOPES:
            yield problems.invalid(f"{path}.scopeName", scope, "unsupported scope")
        for _ in _outside(scope, limits):
            yield problems.invalid(path, _in_go(requirements), "unsupported scope applied to resource")
        if scope in _SCOPES and _SCOPES[scope][1] and operator != "Exists":
            yield problems.invalid(f"{path}.operator", operator, _EXISTS)
        if operator in {"In", "NotIn"}:
            if not values:
                yield problems.required(f"{path}.values", _SOME)
        elif operator not in {"DoesNotExist", "Exists"}:
            yield problems.invalid(f"{path}.operator", operator, "not a valid selector operator")
        elif values:
            yield problems.invalid(f"{path}.values", values, _NONE)


def _outside(scope: str, limits: Iterable[str]) -> list[str]:
    """Return the standard resources that cannot be limited in a scope."""
    inside = _SCOPES[scope][0] if scope in _SCOPES else amounts.OF_QUOTAS
    return [name for name in limits if name in amounts.OF_QUOTAS and name not in inside]


def _in_go(requirements: Iterable[Object]) -> Object:
    """Write requirements as Go writes a type that JSON does not know."""
    fields = ("scopeName", "operator", "values")
    return {
        "MatchExpressions": [
            {key[0].upper() + key[1:]: one.get(key) for key in fields} for one in requirements
        ]
    }
