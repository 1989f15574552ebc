"""PATCH: JSON patch, merge patch, strategic merge patch and server-side apply.

The registry stores the result.
"""

from collections.abc import Callable
from typing import Any

import jsonpatch
import orjson

from dask_k8s_local import json_text
from dask_k8s_local.api import errors
from dask_k8s_local.api.registry import Registry, check_kind, decode, metadata_of, set_name_and_namespace
from dask_k8s_local.api.request import Request
from dask_k8s_local.fields import managers, strategic
from dask_k8s_local.schema import problems
from dask_k8s_local.schema.decode import json_name
from dask_k8s_local.store import Object, Stored
from dask_k8s_local.strategy.custom_resources import CustomResources

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

TYPES = (JSON_PATCH, MERGE, STRATEGIC, APPLY)

_GO_TYPES = {JSON_PATCH: "[]handlers.jsonPatchOp", MERGE: "map[string]interface {}"}


def check_type(request: Request) -> None:
    """Raise StatusError if the request has a content type that its collection does not accept."""
    if request.content_type not in TYPES:
        raise errors.StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    custom = isinstance(request.served.strategy, CustomResources)
    accepted = [one for one in TYPES if one != STRATEGIC or not custom]
    if request.content_type not in accepted:
        raise errors.unsupported_media_type(accepted)


def patch(registry: Registry, request: Request, body: Any) -> tuple[Stored, bool]:
    """Apply a patch of the request's content type; return the object and whether it was created."""
    if request.content_type == APPLY:
        return _apply(registry, request, body)
    if not isinstance(body, list if request.content_type == JSON_PATCH else dict):
        found, expected = (
            json_name(body),
            _GO_TYPES.get(request.content_type, _GO_TYPES[MERGE]),
        )
        raise errors.bad_request(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type {expected}"
        )
    old = registry.get(request)
    patched = _PATCHES[request.content_type](request, old, body)
    try:
        obj = decode(request, patched)
    except errors.StatusError as error:
        raise _decode_error(patched, error) from None
    set_name_and_namespace(request, obj.setdefault("metadata", {}))
    return registry.replace(request, old, obj), False


def patch_unstored(request: Request, current: Object, body: Any) -> Object:
    """Patch an object that is not stored, such as a Scale."""
    if request.content_type == JSON_PATCH:
        return _json_patch(request, Stored(current), body)
    result: Object = strategic.merge_json(current, body)
    return result


def _decode_error(patched: Object, error: errors.StatusError) -> errors.StatusError:
    """Return the error of Kubernetes, which describes the patched object instead of the patch."""
    why = error.message.partition(" cannot be handled as a ")[2].partition(": ")[2]
    value = json_text.dumps(patched, option=orjson.OPT_SORT_KEYS).decode()
    return errors.invalid("", "", "", [problems.invalid("patch", value, why)])


def _json_patch(request: Request, old: Stored, body: Any) -> Object:
    del request
    try:
        result: Object = jsonpatch.apply_patch(dict(old), body)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, KeyError, TypeError):
        raise errors.unprocessable() from None
    return result


def _merge(request: Request, old: Stored, body: Any) -> Object:
    del request
    result: Object = strategic.merge_json(old, body)
    return result


def _strategic(request: Request, old: Stored, body: Any) -> Object:
    try:
        result: Object = strategic.merge(request.served.strategy.node, old, body)
    except strategic.BadPatch as error:
        raise errors.unprocessable(str(error)) from None
    return result


_PATCHES: dict[str, Callable[[Request, Stored, Any], Object]] = {
    JSON_PATCH: _json_patch,
    MERGE: _merge,
    STRATEGIC: _strategic,
}


def _apply(registry: Registry, request: Request, body: Any) -> tuple[Stored, bool]:
    """Apply a configuration (server-side apply)."""
    resource, strategy = request.served.resource, request.served.strategy
    if not request.query.get("fieldManager"):
        missing = problems.required("fieldManager", "is required for apply patch")
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", [missing])
    if not isinstance(body, dict) or not body.get("kind") or not body.get("apiVersion"):
        raise errors.bad_request("invalid object type: /, Kind=")
    check_kind(request.served, body)
    if metadata_of(body).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    _check_declared(request, body)
    old = registry.store.get(resource, request.namespace, request.name)
    live: Object = old or {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": {}}
    manager = managers.Manager(request.field_manager, "Apply", resource.api_version, request.subresource)
    force = request.flag("force")
    try:
        merged, owners = managers.apply(strategy.node, live, body, manager, force=force)
    except managers.ApplyConflict as error:
        raise errors.apply_conflict(error) from None
    if old is None:
        if request.subresource:
            raise errors.not_found(resource, request.name)
        return registry.create(request, merged, owners), True
    obj = decode(request, merged)
    set_name_and_namespace(request, obj.setdefault("metadata", {}))
    return registry.replace(request, old, obj, owners), False


def _check_declared(request: Request, body: Object) -> None:
    """Raise StatusError if an applied configuration has fields that are not in the schema."""
    strategy = request.served.strategy
    resource = request.served.resource
    try:
        _, unknown = strategy.decode(body)
        why = f".{unknown[0]}: field not declared in schema" if unknown else ""
    except ValueError as error:
        why = str(error)
    if why:
        name = f"{metadata_of(body).get('namespace', '')}/{request.name}"
        kind = f"{resource.group}/{resource.version}, Kind={resource.kind}"
        raise errors.StatusError(500, "", f"failed to create typed patch object ({name}; {kind}): {why}")
