"""Decodes built-in kinds like Go: reports and drops unknown fields, treats null as absent, sets defaults.

Only constant defaults (see `builtin`) are set here.
"""

import base64
import binascii
from collections.abc import Mapping
from copy import copy
from typing import Any

import orjson

from dask_k8s_local.schema import quantity
from dask_k8s_local.schema.node import Node

Path = list[str | int]

_JSON_NAMES = {bool: "bool", str: "string", int: "number", float: "number", list: "array", dict: "object"}
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_ZERO: dict[str, Any] = {"string": "", "boolean": False, "integer": 0, "number": 0, "object": {}}


class DecodeError(ValueError):
    """The JSON cannot be decoded into the Go type."""


def decode(node: Node, value: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the decoded object and the paths of unknown fields."""
    unknown: list[str] = []
    decoded = _struct(node, value, [], unknown)
    return decoded, unknown


def json_name(value: Any) -> str:
    """Return Go's name of a value's JSON type."""
    return _JSON_NAMES.get(type(value), "null")


def render(path: Path, key: str | int | None = None) -> str:
    """Format a path as `spec.containers[0].image`."""
    parts = path if key is None else [*path, key]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _value(node: Node, value: Any, path: Path, unknown: list[str], parent: Node) -> Any:
    kind = node.type
    if kind == "object":
        if not isinstance(value, dict):
            raise _mismatch(node, value, path, parent)
        if node.additional is not None:
            return _map(node.additional, value, path, unknown, parent)
        return _struct(node, value, path, unknown) if node.properties else value
    if kind == "array":
        if not isinstance(value, list):
            raise _mismatch(node, value, path, parent)
        return _list(node, value, path, unknown, parent)
    if not kind and node.additional is not None and isinstance(value, dict):
        # an object or another type, such as JSONSchemaPropsOrBool
        return _struct(node.additional, value, path, unknown)
    return _scalar(node, value, path, parent)


def _struct(node: Node, value: Mapping[str, Any], path: Path, unknown: list[str]) -> dict[str, Any]:
    properties = node.properties
    out: dict[str, Any] = {}
    for key, item in value.items():
        child = properties.get(key)
        if child is None:
            unknown.append(render(path, key))
        elif item is None:
            pass
        elif type(item) is str and child.type == "string" and not child.format:
            out[key] = item
        else:
            path.append(key)
            decoded = _value(child, item, path, unknown, node)
            path.pop()
            if decoded or not _is_collection(child):  # Go's omitempty; a pointer to an empty struct stays
                out[key] = decoded
    for key, default in node.defaults.items():
        if out.get(key) in (None, "", 0):
            out[key] = dict(default) if isinstance(default, dict) else default
    return out


def _is_collection(node: Node) -> bool:
    return node.type == "array" or (node.type == "object" and node.additional is not None)


def _map(
    item_node: Node, value: Mapping[str, Any], path: Path, unknown: list[str], parent: Node
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        if type(item) is str and item_node.type == "string" and not item_node.format:
            out[key] = item
        else:
            item = _zero(item_node) if item is None else item  # noqa: PLW2901  # null is the zero value
            out[key] = _value(item_node, item, path, unknown, parent)  # Go's messages do not contain map keys
    return out


def _list(node: Node, value: list[Any], path: Path, unknown: list[str], parent: Node) -> list[Any]:
    if node.items is None:
        return value
    out = []
    for index, item in enumerate(value):
        path.append(index)
        out.append(_value(node.items, _zero(node.items) if item is None else item, path, unknown, parent))
        path.pop()
    return out


def _zero(node: Node) -> Any:
    """Return the value of null in a list or map."""
    return "0" if node.format == "quantity" else copy(_ZERO.get(node.type))


def _scalar(node: Node, value: Any, path: Path, parent: Node) -> Any:
    if node.format == "quantity":
        return _quantity(value)
    if node.int_or_string:
        if type(value) in {int, str}:
            return value
        raise _mismatch(node, value, path, parent)
    if not node.type:
        return value
    if type(value) not in _SCALARS[node.type]:
        raise _mismatch(node, value, path, parent)
    if node.format == "byte":
        _check_base64(value)
    elif node.format == "int32" and not -(2**31) <= value < 2**31:
        raise _mismatch(node, value, path, parent)
    return value


def _quantity(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = orjson.dumps(value).decode()
    try:
        return quantity.canonical(value)
    except (TypeError, ValueError):
        raise DecodeError(quantity.ERROR) from None


def _check_base64(value: str) -> None:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
        bad = next((index for index, char in enumerate(value) if char not in alphabet), len(value) // 4 * 4)
        raise DecodeError(f"illegal base64 data at input byte {bad}") from None


def _mismatch(node: Node, value: Any, path: Path, parent: Node) -> DecodeError:
    found = json_name(value)
    if found == "number" and node.type == "integer":
        found = f"number {orjson.dumps(value).decode()}"
    struct = parent.name.rpartition(".")[2]
    field = ".".join(str(part) for part in path if not isinstance(part, int))
    return DecodeError(
        f"json: cannot unmarshal {found} into Go struct field {struct}.{field} of type {_go_type(node)}"
    )


def _go_type(node: Node) -> str:
    if node.name:
        return node.name
    if node.items is not None:
        return f"[]{_go_type(node.items)}"
    if node.additional is not None:
        of = _go_type(node.additional)
        return "v1.ResourceList" if of == "resource.Quantity" else f"map[string]{of}"
    if node.type == "string" and node.format == "byte":
        return "[]uint8"
    names = {"boolean": "bool", "integer": node.format or "int64", "number": "float64"}
    return names.get(node.type, node.type or "interface {}")
