"""Creates the service account `default` and the ConfigMap `kube-root-ca.crt` in each namespace."""

import asyncio

from dask_k8s_local.informer import Change, run_informer
from dask_k8s_local.resources import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, Resource
from dask_k8s_local.store import Object, Store, namespace_of

_CERTIFICATE = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints "
    "such as the internal service IP or kubernetes.default.svc. "
    "No other usage is guaranteed across distributions of Kubernetes clusters."
)


async def run(store: Store, certificate: str | None = None) -> None:
    """Create and restore the objects in every namespace until cancelled."""
    desired: dict[Resource, Object] = {SERVICEACCOUNTS: _service_account()}
    if certificate:
        desired[CONFIGMAPS] = _config_map(certificate)

    def namespace_changed(change: Change) -> None:
        if change.new is not None:
            for resource, obj in desired.items():
                ensure(store, resource, change.new, obj)

    def object_changed(change: Change) -> None:
        obj, expected = change.new or change.old or {}, desired[change.resource]
        home = store.get(NAMESPACES, None, namespace_of(obj))
        if obj["metadata"]["name"] == expected["metadata"]["name"] and home is not None:
            ensure(store, change.resource, home, expected)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_informer(store, NAMESPACES, namespace_changed))
        for resource in desired:
            tasks.create_task(run_informer(store, resource, object_changed))


def ensure(store: Store, resource: Resource, namespace: Object, obj: Object) -> None:
    """Create the object, or restore its data, unless the namespace is terminating."""
    if namespace["metadata"].get("deletionTimestamp"):
        return
    home = namespace["metadata"]["name"]
    existing = store.get(resource, home, obj["metadata"]["name"])
    if existing is None:
        store.create(resource, {**obj, "metadata": {**obj["metadata"], "namespace": home}})
    elif existing.get("data") != obj.get("data"):
        store.update(resource, {**existing, "data": obj["data"]})


def _service_account() -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}


def _config_map(certificate: str) -> Object:
    annotations = {"kubernetes.io/description": _DESCRIPTION}
    metadata = {"name": _CERTIFICATE, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": certificate}}
