"""Validation of custom resources by their structural schema, with Kubernetes' messages.

Rules in CEL are evaluated in `crd.cel`.
"""

import base64
import binascii
import ipaddress
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

import re2  # type: ignore[import-untyped]  # google-re2 has none

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.node import MISSING, Node, compile_node
from dask_k8s_local.schema.problems import Problem

_JSON_TYPES = {
    bool: "boolean", str: "string", int: "integer", float: "number",
    list: "array", type(None): "null",
}  # fmt: skip


def validate(node: Node, value: Any, path: str = "", old: Any = MISSING) -> Iterator[Problem]:
    """Yield the problems of a value; parts that equal `old` are not validated again."""
    if old is not MISSING and value == old:
        return
    found = "object" if isinstance(value, dict) else _JSON_TYPES[type(value)]
    if found == "null":
        if not node.nullable and (node.type or node.int_or_string):
            yield problems.wrong_type(path, found, _expected_type(node))
        return
    if not _fits(node, value, found):
        yield problems.wrong_type(path, found, _expected_type(node))
    if node.format and found == "string":
        yield from _format(node, value, path)
    for name, limit in node.checks.items():
        yield from _CHECKS[name](limit, value, path, node)
    if found == "object":
        yield from _object(node, value, path, old)
    elif found == "array":
        yield from _array(node, value, path, old)


def check_lists(node: Node, value: Any, path: str = "") -> Iterator[Problem]:
    """Yield duplicates in lists that are sets or maps."""
    if isinstance(value, dict):
        for key, item in value.items():
            child = node.properties.get(key) or node.additional
            if child is not None and type(item) in {dict, list}:
                yield from check_lists(child, item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        if node.list_type in {"set", "map"}:
            yield from _duplicates(node, value, path)
        for index, item in enumerate(value if node.items else ()):
            yield from check_lists(node.items or Node(), item, f"{path}[{index}]")


def _duplicates(node: Node, value: list[Any], path: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, item in enumerate(value):
        key = item
        if node.list_type == "map" and isinstance(item, dict):
            key = {name: item[name] for name in node.map_keys if name in item}
        text = json.dumps(key, sort_keys=True)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            yield problems.duplicate(f"{path}[{index}]", key)


def _expected_type(node: Node) -> str:
    return "integer,string" if node.int_or_string else node.type


def _fits(node: Node, value: Any, found: str) -> bool:
    if node.int_or_string:
        return found in {"integer", "string"}
    if not node.type or node.type == found:
        return True
    if node.type == "integer":
        return found == "number" and value == int(value)
    return node.type == "number" and found == "integer"


def _object(node: Node, value: dict[str, Any], path: str, old: Any) -> Iterator[Problem]:
    before = old if isinstance(old, dict) else {}
    for key, item in value.items():
        child = node.properties.get(key) or node.additional
        if child is not None:
            yield from validate(child, item, f"{path}.{key}" if path else key, before.get(key, MISSING))
    for key in node.required:
        if key not in value:
            yield problems.required(f"{path}.{key}" if path else key)


def _array(node: Node, value: list[Any], path: str, old: Any) -> Iterator[Problem]:
    if node.items is None:
        return
    before = correlated(node, old)
    for index, item in enumerate(value):
        yield from validate(node.items, item, f"{path}[{index}]", before.get(item_key(node, item), MISSING))


def correlated(node: Node, old: Any) -> dict[Any, Any]:
    """Return old items by their keys, for lists of type `map`."""
    if node.list_type != "map" or not isinstance(old, list):
        return {}
    return {item_key(node, item): item for item in old}


def item_key(node: Node, item: Any) -> Any:
    """Return the values of an item's map keys."""
    if node.list_type != "map" or not isinstance(item, dict):
        return None
    return tuple(json.dumps(item.get(key)) for key in node.map_keys)


# ---- one function per keyword of the schema

_Check = Callable[[Any, Any, str, Node], Iterator[Problem]]


def _body(path: str) -> str:
    return f"{path} in body"


def _enum(allowed: list[Any], value: Any, path: str, _: Node) -> Iterator[Problem]:
    if value not in allowed:
        yield problems.not_supported(path, value, allowed)


def _number(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit == int(limit) else limit


def _minimum(limit: Any, value: Any, path: str, node: Node) -> Iterator[Problem]:
    exclusive = node.source.get("exclusiveMinimum")
    if isinstance(value, int | float) and (value < limit or (exclusive and value == limit)):
        message = "greater than" if exclusive else "greater than or equal to"
        yield problems.invalid(path, value, f"{_body(path)} should be {message} {_number(limit)}")


def _maximum(limit: Any, value: Any, path: str, node: Node) -> Iterator[Problem]:
    exclusive = node.source.get("exclusiveMaximum")
    if isinstance(value, int | float) and (value > limit or (exclusive and value == limit)):
        message = "less than" if exclusive else "less than or equal to"
        yield problems.invalid(path, value, f"{_body(path)} should be {message} {_number(limit)}")


def _multiple_of(factor: Any, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, int | float) and value % factor:
        yield problems.invalid(path, value, f"{_body(path)} should be a multiple of {_number(factor)}")


def _min_length(limit: int, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, str) and len(value) < limit:
        yield problems.invalid(path, value, f"{_body(path)} should be at least {limit} chars long")


def _max_length(limit: int, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, str) and len(value) > limit:
        yield problems.too_long(path, limit)


def _pattern(pattern: str, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, str) and not _regex(pattern).search(value):
        yield problems.invalid(path, value, f"{_body(path)} should match '{pattern}'")


def _min_items(limit: int, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, list) and len(value) < limit:
        yield problems.invalid(path, len(value), f"{_body(path)} should have at least {limit} items")


def _max_items(limit: int, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, list) and len(value) > limit:
        yield problems.too_many(path, len(value), limit)


def _min_properties(limit: int, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, dict) and len(value) < limit:
        yield problems.invalid(path, len(value), f"{_body(path)} should have at least {limit} properties")


def _max_properties(limit: int, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if isinstance(value, dict) and len(value) > limit:
        yield problems.too_many(path, len(value), limit)


def _any_of(alternatives: list[Any], value: Any, path: str, _: Node) -> Iterator[Problem]:
    failures = [list(validate(_subschema(json.dumps(item)), value, path)) for item in alternatives]
    if all(failures):
        yield problems.invalid("<nil>", "", f'"{path}" must validate at least one schema (anyOf)')
        yield from min(failures, key=len)


def _one_of(alternatives: list[Any], value: Any, path: str, _: Node) -> Iterator[Problem]:
    failures = [list(validate(_subschema(json.dumps(item)), value, path)) for item in alternatives]
    valid = failures.count([])
    if valid != 1:
        found = f"Found {valid} valid alternatives" if valid else "Found none valid"
        yield problems.invalid(
            "<nil>", "", f'"{path}" must validate one and only one schema (oneOf). {found}'
        )
        if not valid:
            yield from min(failures, key=len)


def _all_of(schemas: list[Any], value: Any, path: str, _: Node) -> Iterator[Problem]:
    failures = [list(validate(_subschema(json.dumps(item)), value, path)) for item in schemas]
    for failure in failures:
        yield from failure
    if any(failures):
        none = "" if [] in failures else ". None validated"
        yield problems.invalid("<nil>", "", f'"{path}" must validate all the schemas (allOf){none}')


def _not(schema: Any, value: Any, path: str, _: Node) -> Iterator[Problem]:
    if not list(validate(_subschema(json.dumps(schema)), value, path)):
        yield problems.invalid("<nil>", "", f'"{path}" must not validate the schema (not)')


_CHECKS: dict[str, _Check] = {
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
    "minItems": _min_items,
    "maxItems": _max_items,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
}


@cache
def _subschema(text: str) -> Node:
    return compile_node(json.loads(text))


@cache
def _regex(pattern: str) -> Any:
    """Compile a regular expression with the syntax of Go."""
    return re2.compile(pattern)


# ---- formats of strings; other formats are not checked


def _base64(text: str) -> None:
    base64.b64decode(text, validate=True)


_FORMATS: dict[str, Callable[[str], object]] = {
    "byte": _base64,
    "date": lambda text: datetime.strptime(text, "%Y-%m-%d"),  # noqa: DTZ007  # a date has no zone
    "date-time": datetime.fromisoformat,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": ipaddress.ip_network,
}


def _format(node: Node, value: str, path: str) -> Iterator[Problem]:
    parse = _FORMATS.get(node.format)
    if parse is None:
        return
    try:
        parse(value)
    except (ValueError, binascii.Error):
        detail = f'{_body(path)} must be of type {node.format}: "{value}"'
        yield Problem("FieldValueTypeInvalid", path, value, detail)
