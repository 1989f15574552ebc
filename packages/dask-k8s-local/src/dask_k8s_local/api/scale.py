"""The scale subresource of custom resources. Does not store objects."""

from collections.abc import Mapping
from typing import Any

from dask_k8s_local.api import errors
from dask_k8s_local.api.catalog import Served
from dask_k8s_local.store import Object

_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def read(served: Served, obj: Object) -> Object:
    """Return the Scale of an object."""
    paths = served.scale or {}
    replicas = _get(obj, paths.get("specReplicasPath"))
    if replicas is None:
        message = f"the spec replicas field {paths.get('specReplicasPath', '')!r} does not exist"
        raise errors.internal(message)
    status = {"replicas": _get(obj, paths.get("statusReplicasPath")) or 0}
    if selector := _get(obj, paths.get("labelSelectorPath")):
        status["selector"] = selector
    metadata = obj["metadata"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in _META if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def write(served: Served, obj: Object, scale: Any) -> Object:
    """Return the object with the replicas of a Scale."""
    spec = scale.get("spec") if isinstance(scale, dict) else None
    replicas = (spec or {}).get("replicas", 0)
    name = obj["metadata"]["name"]
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise errors.bad_request(
            'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal '
            "string into Go struct field ScaleSpec.spec.replicas of type int32"
        )
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise errors.conflict(served.resource, name)
    return _set(obj, (served.scale or {})["specReplicasPath"], replicas)


def _get(obj: Mapping[str, Any], path: str | None) -> Any:
    at: Any = obj
    for key in (path or "").strip(".").split("."):
        at = at.get(key) if isinstance(at, Mapping) else None
    return at


def _set(obj: Object, path: str, value: Any) -> Object:
    key, _, rest = path.strip(".").partition(".")
    return {**obj, key: _set(obj.get(key) or {}, rest, value) if rest else value}
