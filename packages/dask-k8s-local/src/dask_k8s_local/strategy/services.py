"""The strategy of Services: defaults and validation. Addresses are assigned by `network` through `assign`."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from dask_k8s_local.resources import Resource
from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import metadata, names
from dask_k8s_local.strategy.base import Object, Strategy

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
EXTERNAL_TYPES = ("NodePort", "LoadBalancer")
"""Types of Services with node ports."""


class CannotAssign(Exception):
    """A requested address or node port cannot be assigned."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Assign(Protocol):
    """A function that returns a Service with its addresses and node ports; raises CannotAssign."""

    def __call__(self, service: Object, previous: Object | None = None, *, dry_run: bool = False) -> Object:
        """Assign what is missing; a dry run allocates nothing."""


class Services(Strategy):
    """Services; `assign` returns a Service with its addresses and node ports."""

    returns_deleted = True

    def __init__(self, resource: Resource, assign: Assign) -> None:
        super().__init__(resource, check_name=names.label_1035)
        self.assign = assign

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the Service and set defaults that depend on other fields."""
        service, unknown = super().decode({**obj, "spec": {} if obj.get("spec") is None else obj["spec"]})
        spec = service["spec"]
        for port in spec.get("ports") or ():
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] in EXTERNAL_TYPES:
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        if spec["sessionAffinity"] == "ClientIP":
            spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}})
        service.setdefault("status", {"loadBalancer": {}})
        return service, unknown

    def prepare_create(self, obj: Object) -> None:
        """Set an empty status, and the IP families."""
        obj["status"] = {"loadBalancer": {}}
        _single_stack(obj["spec"])

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Keep addresses and node ports that the update leaves out."""
        super().prepare_update(obj, old)
        spec, before = obj["spec"], old["spec"]
        if "ExternalName" not in (spec["type"], before["type"]):
            for key in ("clusterIP", "clusterIPs"):
                if key in before:
                    spec.setdefault(key, before[key])
            known = {port["port"]: port.get("nodePort") for port in before.get("ports") or ()}
            for port in spec.get("ports") or () if spec["type"] in EXTERNAL_TYPES else ():
                if not port.get("nodePort") and known.get(port.get("port")):
                    port["nodePort"] = known[port["port"]]
        _single_stack(spec)

    def validate(self, obj: Object) -> Iterable[Problem]:
        """Validate the spec."""
        spec = obj["spec"]
        headless = spec.get("clusterIP") == "None"
        ports = spec.get("ports") or ()
        if not ports and not headless and spec["type"] != "ExternalName":
            yield problems.required("spec.ports")
        if spec["type"] in EXTERNAL_TYPES and headless:
            message = f"may not be set to 'None' for {spec['type']} services"
            yield problems.invalid("spec.clusterIPs[0]", "None", message)
        if spec["type"] == "ExternalName":
            yield from _external_name(spec)
        yield from _ports(ports)
        yield from metadata.validate_labels(spec.get("selector") or {}, "spec.selector")
        if spec["sessionAffinity"] not in {"ClientIP", "None"}:
            yield problems.not_supported(
                "spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None")
            )
        if spec["type"] not in _TYPES:
            yield problems.not_supported("spec.type", spec["type"], _TYPES)
        yield from _duplicates(spec)

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Validate a changed Service; its address is immutable."""
        spec, before = obj["spec"], old["spec"]
        if "ExternalName" not in (spec["type"], before["type"]) and spec.get("clusterIP") != before.get(
            "clusterIP"
        ):
            message = "may not change once set"
            yield problems.invalid("spec.clusterIPs[0]", [spec.get("clusterIP", "")], message)
        yield from self.validate(obj)


def _single_stack(spec: Object) -> None:
    if spec["type"] != "ExternalName":
        unselective = spec.get("clusterIP") == "None" and not spec.get("selector")
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if unselective else ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack" if unselective else "SingleStack")
        if spec.get("clusterIP"):
            spec.setdefault("clusterIPs", [spec["clusterIP"]])


def _external_name(spec: Object) -> Iterator[Problem]:
    if spec.get("clusterIP"):
        yield problems.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        yield problems.required("spec.externalName")
    else:
        yield from (problems.invalid("spec.externalName", name, message) for message in names.subdomain(name))


def _ports(ports: Any) -> Iterator[Problem]:
    found: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        name = port.get("name", "")
        if name:
            yield from (problems.invalid(f"{path}.name", name, message) for message in names.label(name))
            if name in found:
                yield problems.duplicate(f"{path}.name", name)
            found.add(name)
        elif len(ports) > 1:
            yield problems.required(f"{path}.name")
        number, target = port.get("port") or 0, port["targetPort"]
        if not 1 <= number <= 65535:
            yield problems.invalid(f"{path}.port", number, "must be between 1 and 65535, inclusive")
        if port["protocol"] not in _PROTOCOLS:
            yield problems.not_supported(f"{path}.protocol", port["protocol"], _PROTOCOLS)
        if isinstance(target, str):
            yield from (
                problems.invalid(f"{path}.targetPort", target, message) for message in names.port(target)
            )
        elif not 1 <= target <= 65535:
            yield problems.invalid(f"{path}.targetPort", target, "must be between 1 and 65535, inclusive")


def _duplicates(spec: Object) -> Iterator[Problem]:
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        if port.get("nodePort") and spec["type"] == "ClusterIP":
            yield problems.forbidden(
                f"spec.ports[{index}].nodePort", "may not be used when `type` is 'ClusterIP'"
            )
        key = (port["protocol"], port.get("port", 0))
        if key in seen:
            names_only = {"Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1]}
            yield problems.duplicate(f"spec.ports[{index}]", {**names_only, "TargetPort": 0, "NodePort": 0})
        seen.add(key)
