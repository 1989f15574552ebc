"""Schemas, compiled: OpenAPI v3 in, a tree (or, where kinds contain themselves, a graph) of nodes out.

Built-in kinds and custom resources share the nodes, so that decoding, defaulting, server-side apply and
strategic merge are written once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MISSING: Any = object()

# What only validation of custom resources asks for; in the order in which the API server complains.
_CHECKS = (
    "enum",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
)


@dataclass(slots=True, eq=False)
class Node:
    """One schema. `type` is empty where anything goes."""

    type: str = ""
    name: str = ""  # of the Go type, for built-in kinds
    format: str = ""
    properties: dict[str, "Node"] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)  # of properties
    additional: "Node | None" = None
    items: "Node | None" = None
    default: Any = MISSING
    required: tuple[str, ...] = ()
    nullable: bool = False
    preserve: bool = False
    embedded: bool = False
    int_or_string: bool = False
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    merge_key: str = ""
    merge_strategies: tuple[str, ...] = ()
    atomic: bool = False  # a map or struct that server-side apply owns as a whole
    checks: dict[str, Any] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)


def compile_node(schema: Mapping[str, Any], resolve: Callable[[str], Node] | None = None) -> Node:
    """Compile a schema; `resolve` gives the node of a `$ref`."""
    reference = _reference(schema)
    if reference is not None and resolve is not None:
        return resolve(reference)
    node = Node()
    fill_node(node, schema, resolve)
    return node


def fill_node(node: Node, schema: Mapping[str, Any], resolve: Callable[[str], Node] | None = None) -> None:
    """Compile a schema into a node that others may refer to already."""
    node.source = schema
    node.type = schema.get("type", "")
    node.format = schema.get("format", "")
    node.int_or_string = bool(schema.get("x-kubernetes-int-or-string")) or node.format == "int-or-string"
    node.nullable = bool(schema.get("nullable"))
    node.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    node.embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    node.required = tuple(schema.get("required") or ())
    node.default = schema.get("default", MISSING)
    node.list_type = schema.get("x-kubernetes-list-type", "")
    node.map_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    node.merge_key = schema.get("x-kubernetes-patch-merge-key", "")
    node.merge_strategies = tuple(schema.get("x-kubernetes-patch-strategy", "").split(","))
    node.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    node.rules = tuple(schema.get("x-kubernetes-validations") or ())
    node.checks = {key: schema[key] for key in _CHECKS if schema.get(key, False) is not False}
    for name, child in (schema.get("properties") or {}).items():
        node.properties[name] = compile_node(child, resolve)
        default = child.get("default", MISSING)
        if default is not MISSING and default is not None:
            node.defaults[name] = default
    additional = schema.get("additionalProperties")
    if additional is True:
        node.preserve = True
    elif isinstance(additional, Mapping):
        node.additional = compile_node(additional, resolve)
    if isinstance(schema.get("items"), Mapping):
        node.items = compile_node(schema["items"], resolve)


def _reference(schema: Mapping[str, Any]) -> str | None:
    """Return the name that a schema refers to, directly or (with a default beside it) through `allOf`."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        wrapped = schema.get("allOf")
        if not (isinstance(wrapped, list) and len(wrapped) == 1 and isinstance(wrapped[0].get("$ref"), str)):
            return None
        reference = wrapped[0]["$ref"]
    return reference.rpartition("/")[2]
