"""The EndpointSlice controller: lists the pods behind each Service with a selector.

`kubectl describe service` and other clients read the slices; the proxies in `network` do not need them.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from dask_k8s_local.conditions import is_finished, is_true
from dask_k8s_local.informer import Change, WorkQueue, run_informer
from dask_k8s_local.network.backends import container_port, selects
from dask_k8s_local.resources import ENDPOINTSLICES, NAMESPACES, PODS, SERVICES
from dask_k8s_local.store import Object, Store, StoreError, namespace_of

_MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
_SERVICE_LABEL = "kubernetes.io/service-name"
_CONTROLLER = "endpointslice-controller.k8s.io"
_SLICE_MAX = 100
"""Endpoints in one slice at most."""


async def run(store: Store) -> None:
    """Write the slices of every Service with a selector until cancelled."""
    queue: WorkQueue[tuple[str, str]] = WorkQueue()

    def service_changed(change: Change) -> None:
        service = change.new or change.old or {}
        queue.add((namespace_of(service), service["metadata"]["name"]))

    def pod_changed(change: Change) -> None:
        versions = [pod for pod in (change.old, change.new) if pod is not None]
        namespace = namespace_of(versions[0])
        for service in store.list(SERVICES, namespace):
            selector = service["spec"].get("selector")
            if selector and any(selects(selector, pod) for pod in versions):
                queue.add((namespace, service["metadata"]["name"]))

    def slice_changed(change: Change) -> None:
        if change.new is None and change.old is not None:
            service = (change.old["metadata"].get("labels") or {}).get(_SERVICE_LABEL)
            if service:
                queue.add((namespace_of(change.old), service))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_informer(store, SERVICES, service_changed))
        tasks.create_task(run_informer(store, PODS, pod_changed))
        tasks.create_task(run_informer(store, ENDPOINTSLICES, slice_changed))
        async for namespace, name in queue:
            with suppress(StoreError):  # another writer was faster; its change adds the Service again
                _sync(store, namespace, name)


def _sync(store: Store, namespace: str, name: str) -> None:
    """Write the slices of one Service. The garbage collector deletes those of a deleted Service."""
    service = store.get(SERVICES, namespace, name)
    home = store.get(NAMESPACES, None, namespace)
    if service is None or home is None or home["metadata"].get("deletionTimestamp"):
        return
    selector = service["spec"].get("selector")
    if selector and service["spec"].get("type") != "ExternalName":
        pods = [pod for pod in store.list(PODS, namespace) if selects(selector, pod)]
        _write_slices(store, service, slices(service, pods))


def slices(service: Object, pods: Sequence[Object]) -> list[tuple[list[Object], list[Object]]]:
    """Return the ports and endpoints of each slice; there is always at least one slice.

    The endpoints of a slice have the same ports, because named ports can differ between pods.
    """
    groups: dict[str, tuple[list[Object], list[Object]]] = {}
    for pod in pods:
        if pod["status"].get("podIP") and not is_finished(pod):
            ports = _ports(service, pod)
            groups.setdefault(repr(ports), (ports, []))[1].append(_endpoint(service, pod))
    chunks = [
        (ports, found[first : first + _SLICE_MAX])
        for ports, found in groups.values()
        for first in range(0, len(found), _SLICE_MAX)
    ]
    return chunks or [([], [])]


def _ports(service: Object, pod: Object) -> list[Object]:
    """Return the Service's ports as container ports; a named port that the pod lacks is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = container_port(pod, port.get("targetPort") or port["port"])
        if number is not None:
            kept = {key: port[key] for key in ("name", "appProtocol") if port.get(key)}
            found.append({"name": "", **kept, "port": number, "protocol": port.get("protocol", "TCP")})
    return found


def _endpoint(service: Object, pod: Object) -> Object:
    metadata, spec = pod["metadata"], pod["spec"]
    serving = is_true(pod["status"].get("conditions"), "Ready")
    terminating = bool(metadata.get("deletionTimestamp"))
    publishes_all = bool(service["spec"].get("publishNotReadyAddresses"))
    has_hostname = spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]
    optional = {"hostname": spec["hostname"] if has_hostname else None, "nodeName": spec.get("nodeName")}
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": publishes_all or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        **{key: value for key, value in optional.items() if value},
        "targetRef": {"kind": "Pod", **{key: metadata[key] for key in ("name", "namespace", "uid")}},
    }


def _write_slices(store: Store, service: Object, desired: list[tuple[list[Object], list[Object]]]) -> None:
    """Create, update and delete slices; a slice that already has the same ports is reused first."""
    existing = [one for one in store.list(ENDPOINTSLICES, namespace_of(service)) if _is_of(one, service)]
    for ports, endpoints in desired:
        content = {"endpoints": endpoints or None, "ports": ports or None}
        existing.sort(key=lambda one: one.get("ports") != content["ports"])
        old = existing.pop(0) if existing else None
        _write_slice(store, service, old, content)
    for one in existing:
        store.delete(ENDPOINTSLICES, namespace_of(one), one["metadata"]["name"])


def _write_slice(store: Store, service: Object, old: Object | None, content: Object) -> None:
    name = service["metadata"]["name"]
    labels = _labels(service) | {_MANAGED_BY_LABEL: _CONTROLLER, _SERVICE_LABEL: name}
    if old is not None:
        metadata = {**old["metadata"], "labels": labels}
        if any(old.get(key) != value for key, value in content.items()):
            metadata["generation"] = old["metadata"]["generation"] + 1
        store.update(ENDPOINTSLICES, {**old, **content, "metadata": metadata})
        return
    owner = {
        "apiVersion": "v1",
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "Service",
        "name": name,
        "uid": service["metadata"]["uid"],
    }
    metadata = {
        "generateName": f"{name}-",
        "namespace": namespace_of(service),
        "generation": 1,
        "labels": labels,
        "ownerReferences": [owner],
    }
    made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    store.create(ENDPOINTSLICES, {**made, "metadata": metadata, **content})


def _is_of(one: Object, service: Object) -> bool:
    """Return whether this controller wrote the slice for exactly this Service."""
    labels = one["metadata"].get("labels") or {}
    owners = [reference["uid"] for reference in one["metadata"].get("ownerReferences") or ()]
    return labels.get(_MANAGED_BY_LABEL) == _CONTROLLER and service["metadata"]["uid"] in owners


def _labels(service: Object) -> dict[str, str]:
    headless = {"service.kubernetes.io/headless": ""} if service["spec"].get("clusterIP") == "None" else {}
    return {**(service["metadata"].get("labels") or {}), **headless}
