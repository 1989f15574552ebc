"""Compiled schemas: OpenAPI v3 schemas as a graph of nodes.

Built-in kinds and custom resources share this class, and with it decoding, server-side apply and strategic
merge.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MISSING: Any = object()

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
"""Keywords that only the validation of custom resources uses, in the order of Kubernetes' messages."""


@dataclass(slots=True, eq=False)
class Node:
    """A compiled schema; an empty `type` allows any value."""

    type: str = ""
    name: str = ""
    """The Go type of a built-in kind."""
    format: str = ""
    properties: dict[str, "Node"] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    """Defaults of the properties."""
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
    atomic: bool = False
    """Whether server-side apply treats a map or struct as a single value."""
    checks: dict[str, Any] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)


def compile_node(schema: Mapping[str, Any], resolve: Callable[[str], Node] | None = None) -> Node:
    """Compile a schema; `resolve` returns the node of a `$ref`."""
    reference = _reference(schema)
    if reference is not None and resolve is not None:
        return resolve(reference)
    node = Node()
    fill_node(node, schema, resolve)
    return node


def fill_node(node: Node, schema: Mapping[str, Any], resolve: Callable[[str], Node] | None = None) -> None:
    """Compile a schema into an existing node, to which other nodes can already refer."""
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
    """Return the name in a `$ref`, which can be inside an `allOf` next to a default."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        wrapped = schema.get("allOf")
        if not (isinstance(wrapped, list) and len(wrapped) == 1 and isinstance(wrapped[0].get("$ref"), str)):
            return None
        reference = wrapped[0]["$ref"]
    return reference.rpartition("/")[2]
