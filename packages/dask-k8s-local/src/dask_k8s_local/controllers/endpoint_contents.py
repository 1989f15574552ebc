"""What EndpointSlices and Endpoints say of the pods of a Service. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dask_k8s_local.conditions import is_true
from dask_k8s_local.network.backends import container_port
from dask_k8s_local.store import Object

_SLICE_MAX = 100


def slices(service: Object, pods: Sequence[Object]) -> list[tuple[list[Object], list[Object]]]:
    """Return the ports and endpoints of each slice: one ports list, at most a hundred pods; never none."""
    groups: dict[str, tuple[list[Object], list[Object]]] = {}
    for pod in _addressed(pods):
        ports = [{"name": "", **port} for port in _ports(service, pod)]
        groups.setdefault(repr(ports), (ports, []))[1].append(_endpoint(service, pod))
    chunks = [
        (ports, found[first : first + _SLICE_MAX])
        for ports, found in groups.values()
        for first in range(0, len(found), _SLICE_MAX)
    ]
    return chunks or [([], [])]


def subsets(service: Object, pods: Sequence[Object]) -> list[Object]:
    """Return the subsets of the older form: ports that have the same addresses stand together."""
    addresses: dict[str, tuple[Object | None, list[Object], list[Object]]] = {}
    for pod in _addressed(pods):
        if pod["metadata"].get("deletionTimestamp") and not _publishes_all(service):
            continue
        without_ports = [] if service["spec"].get("ports") else [None]
        for port in _ports(service, pod) or without_ports:
            _, ready, unready = addresses.setdefault(repr(port), (port, [], []))
            (ready if _publishes_all(service) or _serving(pod) else unready).append(_address(service, pod))
    merged: dict[str, Object] = {}
    for port, ready, unready in addresses.values():
        lists = {"addresses": ready, "notReadyAddresses": unready}
        subset = merged.setdefault(repr(lists), {key: found for key, found in lists.items() if found})
        if port is not None:
            subset.setdefault("ports", []).append(port)
    return [*merged.values()]


def _addressed(pods: Sequence[Object]) -> Iterator[Object]:
    for pod in pods:
        if pod["status"].get("podIP") and pod["status"].get("phase") not in {"Failed", "Succeeded"}:
            yield pod


def _ports(service: Object, pod: Object) -> list[Object]:
    """Return the ports of the Service as they are at the pod; one that it does not have is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = container_port(pod, port.get("targetPort") or port["port"])
        if number is not None:
            kept = {key: port[key] for key in ("name", "appProtocol") if port.get(key)}
            found.append({**kept, "port": number, "protocol": port.get("protocol", "TCP")})
    return found


def _endpoint(service: Object, pod: Object) -> Object:
    serving, terminating = _serving(pod), bool(pod["metadata"].get("deletionTimestamp"))
    ready = _publishes_all(service) or (serving and not terminating)
    address = _address(service, pod)
    return {
        "addresses": [address.pop("ip")],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        **address,
    }


def _address(service: Object, pod: Object) -> Object:
    metadata, spec = pod["metadata"], pod["spec"]
    reference = {"kind": "Pod", **{key: metadata[key] for key in ("name", "namespace", "uid")}}
    named = spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]
    address = {
        "hostname": spec["hostname"] if named else None,
        "ip": pod["status"]["podIP"],
        "nodeName": spec.get("nodeName"),
        "targetRef": reference,
    }
    return {key: value for key, value in address.items() if value}


def _serving(pod: Object) -> bool:
    return is_true(pod["status"].get("conditions"), "Ready")


def _publishes_all(service: Object) -> bool:
    return bool(service["spec"].get("publishNotReadyAddresses"))
