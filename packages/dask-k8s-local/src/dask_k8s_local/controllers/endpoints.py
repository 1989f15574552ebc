"""Endpoints and EndpointSlices: which pods stand behind a Service, for people and programs to read."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from dask_k8s_local.controllers.endpoint_contents import slices, subsets
from dask_k8s_local.following import Change, Dirty, follow
from dask_k8s_local.network.backends import selects
from dask_k8s_local.resources import ENDPOINTS, ENDPOINTSLICES, NAMESPACES, PODS, SERVICES
from dask_k8s_local.store import Object, Store, StoreError, namespace_of

_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_SERVICE = "kubernetes.io/service-name"
_SLICES = "endpointslice-controller.k8s.io"


async def run(store: Store) -> None:
    """Write them for every Service with a selector, for ever."""
    dirty: Dirty[tuple[str, str]] = Dirty()

    def service_changed(change: Change) -> None:
        service = change.new or change.old or {}
        dirty.add((namespace_of(service), service["metadata"]["name"]))

    def pod_changed(change: Change) -> None:
        versions = [pod for pod in (change.old, change.new) if pod is not None]
        namespace = namespace_of(versions[0])
        for service in store.list(SERVICES, namespace):
            selector = service["spec"].get("selector")
            if selector and any(selects(selector, pod) for pod in versions):
                dirty.add((namespace, service["metadata"]["name"]))

    def written_changed(change: Change) -> None:
        if change.new is None and change.old is not None:
            metadata = change.old["metadata"]
            service = (metadata.get("labels") or {}).get(_SERVICE, metadata["name"])
            if store.get(SERVICES, metadata["namespace"], service):
                dirty.add((metadata["namespace"], service))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(store, SERVICES, service_changed))
        tasks.create_task(follow(store, PODS, pod_changed))
        tasks.create_task(follow(store, ENDPOINTSLICES, written_changed))
        tasks.create_task(follow(store, ENDPOINTS, written_changed))
        async for namespace, name in dirty:
            with suppress(StoreError):  # somebody else was quicker: the change is on its way here
                _write(store, namespace, name)


def _write(store: Store, namespace: str, name: str) -> None:
    service = store.get(SERVICES, namespace, name)
    home = store.get(NAMESPACES, None, namespace)
    if service is None:  # the slices are the garbage collector's
        if store.get(ENDPOINTS, namespace, name):
            store.delete(ENDPOINTS, namespace, name)
    elif _is_followed(service) and home and not home["metadata"].get("deletionTimestamp"):
        pods = [pod for pod in store.list(PODS, namespace) if selects(service["spec"]["selector"], pod)]
        _write_endpoints(store, service, subsets(service, pods))
        _write_slices(store, service, slices(service, pods))


def _is_followed(service: Object) -> bool:
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def _write_endpoints(store: Store, service: Object, found: list[Object]) -> None:
    namespace, name = namespace_of(service), service["metadata"]["name"]
    there = store.get(ENDPOINTS, namespace, name)
    labels = _labels(service) | {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    metadata = {
        **(there["metadata"] if there else {}),
        "name": name,
        "namespace": namespace,
        "labels": labels,
    }
    new = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata} | (
        {"subsets": found} if found else {}
    )
    if there is None:
        store.create(ENDPOINTS, new)
    else:
        store.update(ENDPOINTS, new)


def _write_slices(store: Store, service: Object, wanted: list[tuple[list[Object], list[Object]]]) -> None:
    """Change the slices there are into those that should be; one with the same ports rather than another."""
    there = [one for one in store.list(ENDPOINTSLICES, namespace_of(service)) if _is_of(one, service)]
    for ports, endpoints in wanted:
        content = {"endpoints": endpoints or None, "ports": ports or None}
        there.sort(key=lambda one: one.get("ports") != content["ports"])
        old = there.pop(0) if there else None
        _write_slice(store, service, old, content)
    for one in there:
        store.delete(ENDPOINTSLICES, namespace_of(one), one["metadata"]["name"])


def _write_slice(store: Store, service: Object, old: Object | None, content: Object) -> None:
    name = service["metadata"]["name"]
    labels = _labels(service) | {_MANAGED_BY: _SLICES, _SERVICE: name}
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
    """Tell whether a slice is written here for that very Service."""
    labels = one["metadata"].get("labels") or {}
    owners = [reference["uid"] for reference in one["metadata"].get("ownerReferences") or ()]
    return labels.get(_MANAGED_BY) == _SLICES and service["metadata"]["uid"] in owners


def _labels(service: Object) -> dict[str, str]:
    headless = {"service.kubernetes.io/headless": ""} if service["spec"].get("clusterIP") == "None" else {}
    return {**(service["metadata"].get("labels") or {}), **headless}
