"""OpenAPI v3 documents, one per group version, for `kubectl explain` and `apply`. Contains no validation."""

import hashlib
from collections.abc import Iterator
from typing import Any

from dask_k8s_local.api import patch
from dask_k8s_local.api.catalog import Catalog, Served
from dask_k8s_local.api.discovery import group_versions
from dask_k8s_local.resources import Resource
from dask_k8s_local.schema import builtin

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_ALWAYS = (
    f"{_META}.ObjectMeta",
    f"{_META}.ListMeta",
    f"{_META}.DeleteOptions",
    f"{_META}.Status",
    f"{_META}.Patch",
)


def index(catalog: Catalog) -> dict[str, Any]:
    """Return the index of all documents."""
    paths = {}
    for path, found in group_versions(catalog):
        content = f"{path} {[(id(one.schema), one.resource.key) for one in found]}"
        digest = hashlib.sha256(content.encode()).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def document(catalog: Catalog, path: str) -> dict[str, Any] | None:
    """Return the document of a group version."""
    found = dict(group_versions(catalog)).get(path)
    if found is None:
        return None
    schemas: dict[str, Any] = {}
    for served in found:
        schemas |= _schemas(served)
    for name in [*schemas, *_ALWAYS]:
        _add_referenced(name, schemas)
    paths = {key: value for served in found for key, value in _paths(path, served)}
    info = {"title": "Kubernetes", "version": "unversioned"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _schemas(served: Served) -> dict[str, Any]:
    resource = served.resource
    if not served.schema:
        kinds = (resource.kind, resource.list_kind)
        names = [builtin.schema_name(resource.group, resource.version, kind) for kind in kinds]
        return {found: builtin.schemas()[found] for found in names if found}
    name = _custom_name(resource)
    properties = served.schema.get("properties") or {}
    schema = {
        **served.schema,
        "properties": {
            "apiVersion": {"type": "string", "description": _API_VERSION},
            "kind": {"type": "string", "description": _KIND},
            **properties,
            "metadata": {"allOf": [_ref(f"{_META}.ObjectMeta")], "description": _OBJECT_META},
        },
        "x-kubernetes-group-version-kind": [_gvk(resource)],
    }
    listed = {
        "type": "object",
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": _API_VERSION},
            "items": {"type": "array", "items": _ref(name)},
            "kind": {"type": "string", "description": _KIND},
            "metadata": {"allOf": [_ref(f"{_META}.ListMeta")]},
        },
        "x-kubernetes-group-version-kind": [{**_gvk(resource), "kind": resource.list_kind}],
    }
    return {name: schema, f"{name}List": listed}


def _custom_name(resource: Resource) -> str:
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _add_referenced(name: str, schemas: dict[str, Any]) -> None:
    """Add a built-in schema and all schemas that it refers to."""
    if name not in schemas:
        schemas[name] = builtin.schemas()[name]
    for reference in _references(schemas[name]):
        if reference not in schemas:
            _add_referenced(reference, schemas)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rpartition("/")[2]
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _paths(prefix: str, served: Served) -> Iterator[tuple[str, dict[str, Any]]]:
    resource = served.resource
    collection = f"/{prefix}/{'namespaces/{namespace}/' if resource.namespaced else ''}{resource.plural}"
    if resource.namespaced and "list" in resource.verbs:
        yield f"/{prefix}/{resource.plural}", {"get": _operation(served, "list", "")}
    actions = {"list": "get", "create": "post", "deletecollection": "delete"}
    yield (
        collection,
        {method: _operation(served, verb, "") for verb, method in actions.items() if verb in resource.verbs},
    )
    if "get" not in resource.verbs:
        return
    one = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}
    item = f"{collection}/{{name}}"
    yield (
        item,
        {method: _operation(served, verb, "") for verb, method in one.items() if verb in resource.verbs},
    )
    for subresource in sorted(resource.subresources & {"status", "scale"}):
        methods = ("get", "update", "patch")
        yield f"{item}/{subresource}", {one[verb]: _operation(served, verb, subresource) for verb in methods}


def _operation(served: Served, verb: str, subresource: str) -> dict[str, Any]:
    resource = served.resource
    operation: dict[str, Any] = {
        "operationId": f"{verb}{resource.group}{resource.version}{resource.kind}{subresource}",
        "x-kubernetes-action": {"create": "post", "update": "put"}.get(verb, verb),
        "x-kubernetes-group-version-kind": _gvk(resource),
        "responses": {"200": {"description": "OK"}},
    }
    if verb in {"create", "update", "patch", "delete"}:
        names = (*_WRITE_PARAMETERS, "force") if verb == "patch" else _WRITE_PARAMETERS
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "boolean" if name == "force" else "string"}}
            for name in names
        ]
    if verb == "patch":
        types = (patch.APPLY, patch.JSON_PATCH, patch.MERGE, *(() if served.schema else (patch.STRATEGIC,)))
        content = {name: {"schema": _ref(f"{_META}.Patch")} for name in types}
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _gvk(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_MORE = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. "
    "Servers should convert recognized schemas to the latest internal value, "
    f"and may reject unrecognized values. {_MORE}#resources"
)
_KIND = (
    "Kind is a string value representing the REST resource this object represents. "
    "Servers may infer this from the endpoint the client submits requests to. "
    f"Cannot be updated. In CamelCase. {_MORE}#types-kinds"
)
_OBJECT_META = f"Standard object's metadata. {_MORE}#metadata"
