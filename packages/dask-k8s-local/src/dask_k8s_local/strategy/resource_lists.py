"""Validation of resource lists (requests, limits and quotas): names and amounts of resources."""

from collections.abc import Iterator

from dask_k8s_local.schema import problems, quantity
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import names

COUNTED = frozenset(
    {
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
        "services.loadbalancers",
        "services.nodeports",
    }
)
COMPUTE = frozenset({"cpu", "ephemeral-storage", "memory"})
OF_QUOTAS = (
    COUNTED
    | COMPUTE
    | {f"{kind}.{name}" for kind in ("limits", "requests") for name in COMPUTE}
    | {"requests.storage"}
)
_STANDARD = OF_QUOTAS | {"storage"}


def is_extended(name: str) -> bool:
    """Return whether a resource is an extended resource such as `nvidia.com/gpu`."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def validate_name(name: str, path: str, *, known: bool, of: str) -> Iterator[Problem]:
    """Validate the name of a resource; `known` if it is valid in a resource list `of` this kind."""
    if malformed := names.qualified(name):
        yield from (problems.invalid(path, name, message) for message in malformed)
    elif not known and "/" not in name and name not in _STANDARD:
        yield problems.invalid(path, name, "must be a standard resource type or fully qualified")
    if not known and "/" not in name:
        yield problems.invalid(path, name, f"must be a standard resource for {of}")


def validate(name: str, amount: str, path: str) -> Iterator[Problem]:
    """Validate an amount: not negative, and an integer for counted resources."""
    value = quantity.parse(amount)
    if value < 0:
        yield problems.invalid(path, amount, "must be greater than or equal to 0")
    if (name in COUNTED or is_extended(name)) and value % 1:
        yield problems.invalid(path, amount, "must be an integer")
