"""Make the structural schemas of CRDs from pydantic models.

The schemas of PodSpec and other types of Kubernetes come from package data, which `tools/generate.py` writes.
This module makes schemas; `validation` checks objects against them.
"""

import json
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from dask_k8s_crds import validation_rules
from dask_k8s_crds.validation_rules import ValidationRule

Schema = dict[str, Any]
"""A schema as plain JSON. Schemas share parts, so nobody may mutate one."""

DATA = "data/kubernetes.json"
"""Where in the package the schemas of the types of Kubernetes are."""
PRESERVE = "x-kubernetes-preserve-unknown-fields"
_KEPT = (
    *("description", "type", "format", "enum", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "minItems", "maxItems"),
)
"""Keywords of JSON schema that mean the same in a structural schema."""
_TEMPLATES: Mapping[tuple[str, str], Schema] = {
    ("PodSpec", "containers"): {"minItems": 1, "maxItems": 64, "items": {"$ref": "MainContainer"}},
    ("PodSpec", "initContainers"): {"maxItems": 64},
    ("PodSpec", "ephemeralContainers"): {"maxItems": 64},
    ("Container", "ports"): {"maxItems": 100, **validation_rules.schema(validation_rules.UNIQUE_NAMES)},
    ("ContainerPort", "name"): {"maxLength": 15},
    ("ContainerPort", "protocol"): {"default": "TCP"},
    ("ServiceSpec", "ports"): {"maxItems": 250, **validation_rules.schema(validation_rules.UNIQUE_NAMES)},
    ("ServicePort", "name"): {"maxLength": 63},
    ("ServicePort", "protocol"): {"default": "TCP"},
    ("RunnerSpec", "restartPolicy"): {"default": "OnFailure", "enum": ["OnFailure", "Never"]},
    ("PodFailurePolicy", "rules"): {"minItems": 1, "maxItems": 20},
}
"""Constraints on templates in addition to Kubernetes' types, by type and field.

The defaults are those of Kubernetes. The limits of length keep the estimated cost of CEL rules within the
budget of the API server.
"""
_VARIANTS: Mapping[str, str] = {"RunnerSpec": "PodSpec", "MainContainer": "Container"}
"""Types of ours with the fields of a type of Kubernetes and more constraints."""
_REFUSED: Mapping[str, tuple[str, ValidationRule]] = {
    "PodSpec": ("Container", validation_rules.CONTAINER_FIELD),
    "RunnerSpec": ("Container", validation_rules.CONTAINER_FIELD),
    "MainContainer": ("PodSpec", validation_rules.POD_FIELD),
}
"""Types that refuse the fields of another type, which users put in the wrong place.

dask-kubernetes dropped such fields. Without these rules only the creation of the pod would fail.
"""


@cache
def for_model(model: type[BaseModel]) -> Schema:
    """Return the schema of one of our models: closed, with descriptions and defaults."""
    source = model.model_json_schema()
    definitions = source.get("$defs", {})

    def resolve(name: str) -> Schema:
        return convert(definitions[name], resolve)

    return convert(source, resolve)


@cache
def for_kubernetes_type(name: str) -> Schema:
    """Return the schema of a type of Kubernetes: open, so that it accepts fields of later releases."""
    base = _VARIANTS.get(name, name)
    schema: Schema = _definitions()[base]
    properties = {
        field: _link({**value, **_TEMPLATES.get((base, field), {}), **_TEMPLATES.get((name, field), {})})
        for field, value in schema.get("properties", {}).items()
    }
    if name in _REFUSED:
        other, rule = _REFUSED[name]
        for field, value in _definitions()[other]["properties"].items():
            properties.setdefault(field, {**_type_alone(value), **validation_rules.schema(rule)})
    return {**schema, "properties": properties} if properties else schema


def _type_alone(schema: Schema) -> Schema:
    """Return the schema of a value that is refused: the API server applies rules to typed values only."""
    if "x-kubernetes-int-or-string" in schema:
        return {"x-kubernetes-int-or-string": True}
    if schema.get("type") == "array":
        return {"type": "array", "items": _type_alone(schema["items"])}
    if schema.get("type", "object") == "object":
        return {"type": "object", PRESERVE: True}
    return {"type": schema["type"]}


@cache
def _definitions() -> dict[str, Schema]:
    definitions: dict[str, Schema] = json.loads(pkgutil.get_data("dask_k8s_crds", DATA) or b"")["definitions"]
    return definitions


def _link(schema: Schema) -> Schema:
    if "$ref" in schema:
        return for_kubernetes_type(schema["$ref"])
    if "items" in schema:
        return {**schema, "items": _link(schema["items"])}
    return schema


def convert(source: Schema, resolve: Callable[[str], Schema]) -> Schema:
    """Return the structural form of a JSON schema; `resolve` returns that of a definition.

    No field is nullable: the API server drops a null from a field that is neither nullable nor required, so
    null means absent.
    """
    if "x-kubernetes-schema" in source:
        return {**_described(source), **for_kubernetes_type(source["x-kubernetes-schema"])}
    if "$ref" in source:
        return {**resolve(source["$ref"].rpartition("/")[2]), **_described(source)}
    if "anyOf" in source:
        return {**_any_of(source["anyOf"], resolve), **_described(source), **_extensions(source)}
    schema = {key: source[key] for key in _KEPT if key in source}
    schema |= _extensions(source)
    if "items" in source:
        schema["items"] = convert(source["items"], resolve)
    if properties := source.get("properties"):
        schema["properties"] = {name: convert(value, resolve) for name, value in properties.items()}
        if required := source.get("required"):
            schema["required"] = required
    elif isinstance(values := source.get("additionalProperties"), dict):
        schema["additionalProperties"] = convert(values, resolve)
    if (exclusive := source.get("exclusiveMinimum")) is not None:  # a number in JSON schema, not in a CRD
        schema |= {"minimum": exclusive, "exclusiveMinimum": True}
    default = source.get("default")
    if type(default) is int or (isinstance(default, str) and default):
        schema["default"] = default
    return schema


def _any_of(options: list[Schema], resolve: Callable[[str], Schema]) -> Schema:
    options = [option for option in options if option != {"type": "null"}]
    if [option.get("type") for option in options] == ["integer", "string"]:
        return {"x-kubernetes-int-or-string": True}
    (option,) = options
    return convert(option, resolve)


def _extensions(source: Schema) -> Schema:
    return {key: value for key, value in source.items() if key.startswith("x-kubernetes-")}


def _described(source: Schema) -> Schema:
    return {"description": source["description"]} if "description" in source else {}
