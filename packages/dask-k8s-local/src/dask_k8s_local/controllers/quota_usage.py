"""What an object uses of a quota, and which quotas apply to it. Pure."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from dask_k8s_local.conditions import is_finished
from dask_k8s_local.resources import PODS, SERVICES, Resource
from dask_k8s_local.scheduler.requests import requested
from dask_k8s_local.schema.quantity import write
from dask_k8s_local.store import Object

Usage = dict[str, Decimal]

_COUNT = "count/"
_PLAIN = frozenset(
    {
        "configmaps",
        "resourcequotas",
        "secrets",
        "services",
    }
)
_MEASURED = ("cpu", "ephemeral-storage", "memory")
_REQUIRED = {
    name: (list_name, name.rpartition(".")[2])
    for names, list_name in (
        (("cpu", "memory", "requests.cpu", "requests.memory"), "requests"),
        (("limits.cpu", "limits.memory"), "limits"),
    )
    for name in names
}


def responsible(name: str) -> str:
    """Return the key of the collection that a quota counts under this name."""
    if name.startswith(_COUNT):
        return name.removeprefix(_COUNT)
    plural = name.partition(".")[0]
    return plural if plural in _PLAIN else PODS.key


def usage(resource: Resource, obj: Object) -> Usage:
    """Return what an object uses, by the names that quotas have for it."""
    used = {_COUNT + resource.key: Decimal(1)}
    if resource.key in _PLAIN:
        used[resource.key] = Decimal(1)
    if resource.key == SERVICES.key:
        used |= _of_service(obj["spec"])
    if resource.key == PODS.key and not is_finished(obj):
        used |= _of_pod(obj["spec"])
    return used


def show(name: str, amount: Decimal) -> str:
    """Format an amount; memory in binary units where that is exact."""
    binary = ("memory" in name or "storage" in name) and not amount % 1024
    return write(amount, like="1Ki" if binary else "1")


def missing(pod: Object, names: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the containers without a request or limit that a quota requires, by its name."""
    spec = pod["spec"]
    containers = (*spec["containers"], *(spec.get("initContainers") or ()))
    found = {
        name: [
            container["name"]
            for container in containers
            if resource not in ((container.get("resources") or {}).get(kind) or {})
        ]
        for name, (kind, resource) in sorted(_REQUIRED.items())
        if name in names
    }
    return {name: containers for name, containers in found.items() if containers}


def in_scope(quota: Object, resource: Resource, obj: Object) -> bool:
    """Return whether a quota applies to an object; with scopes, it applies to some pods only."""
    scopes = quota["spec"].get("scopes") or ()
    if not scopes:
        return True
    return resource.key == PODS.key and all(_SCOPES[scope](obj["spec"]) for scope in scopes)


def _of_service(spec: Object) -> Usage:
    kind, ports = spec.get("type"), spec.get("ports") or ()
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    node_ports = len(ports) if kind in {"LoadBalancer", "NodePort"} else 0
    return {
        "services.loadbalancers": Decimal(kind == "LoadBalancer"),
        "services.nodeports": Decimal(node_ports),
    }


def _of_pod(spec: Object) -> Usage:
    used = {"pods": Decimal(1)}
    for name, amount in requested({"spec": spec}).items():
        used[f"requests.{name}"] = amount
        if name in _MEASURED:
            used[name] = amount
    for name, amount in requested({"spec": _limits_for_requests(spec)}).items():
        if name in _MEASURED:
            used[f"limits.{name}"] = amount
    return used


def _limits_for_requests(spec: Object) -> Object:
    """Return the containers with their limits as requests."""
    changed = {}
    for key in ("containers", "initContainers"):
        changed[key] = [
            {**container, "resources": {"requests": (container.get("resources") or {}).get("limits")}}
            for container in spec.get(key) or ()
        ]
    return changed


def _best_effort(spec: Object) -> bool:
    resources = [
        one.get("resources") or {} for key in ("containers", "initContainers") for one in spec.get(key) or ()
    ]
    amounts = [{**(one.get("requests") or {}), **(one.get("limits") or {})} for one in resources]
    return not any({"cpu", "memory"} & one.keys() for one in amounts)


_SCOPES: dict[str, Callable[[Object], bool]] = {
    "BestEffort": _best_effort,
    "NotBestEffort": lambda spec: not _best_effort(spec),
    "Terminating": lambda spec: spec.get("activeDeadlineSeconds") is not None,
    "NotTerminating": lambda spec: spec.get("activeDeadlineSeconds") is None,
}
