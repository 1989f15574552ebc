"""Field sets in the format of `managedFields` (FieldsV1): nested dicts of path elements.

`f:name` is a field, `k:{...}` a list item by its keys, `v:...` a list item by its value, `.` the parent
itself, and an empty dict a leaf.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from dask_k8s_local.schema.node import MISSING, Node

Fields = dict[str, Any]

_ANYTHING = Node()
_KEYED = frozenset({"map", "set"})
_SCALARS = frozenset({str, int, bool, float, type(None)})


def element_key(node: Node, item: Any) -> str:
    """Return the path element of an item in a list of type `map` or `set`."""
    if node.list_type == "set" or not isinstance(item, dict):
        return "v:" + orjson.dumps(item).decode()
    keys = {key: item.get(key, _key_default(node, key)) for key in sorted(node.map_keys)}
    return "k:" + orjson.dumps({key: value for key, value in keys.items() if value is not MISSING}).decode()


def _key_default(node: Node, key: str) -> Any:
    return node.items.defaults.get(key, MISSING) if node.items else MISSING


def children(node: Node, value: Any) -> Iterator[tuple[str, Node, Any]] | None:
    """Return path element, schema and value of each child, or None for an atomic value."""
    if isinstance(value, dict) and not node.atomic:
        return ((f"f:{key}", _field_node(node, key), item) for key, item in value.items())
    if isinstance(value, list) and node.list_type in _KEYED:
        items = node.items or _ANYTHING
        return ((element_key(node, item), items, item) for item in value)
    return None


def _field_node(node: Node, key: str) -> Node:
    return node.properties.get(key) or node.additional or _ANYTHING


def of(node: Node, value: Any) -> Fields:
    """Return the fields of an applied configuration."""
    parts = children(node, value)
    fields: Fields = {}
    for key, child, item in parts or ():
        fields[key] = inner = of(child, item)
        is_field = key[:2] == "f:" and key[2:] in node.properties
        if not is_field and inner:
            inner["."] = {}
    return fields


def added(node: Node, value: Any) -> Fields:
    """Return the fields of a new value, including fields that have children."""
    if not value or node.atomic:
        return {}
    if type(value) is dict:
        properties, otherwise = node.properties, node.additional or _ANYTHING
        fields: Fields = {".": {}}
        for key, item in value.items():
            leaf = type(item) in _SCALARS  # avoids a call for most values
            fields[f"f:{key}"] = {} if leaf else added(properties.get(key) or otherwise, item)
        return fields
    if type(value) is list and node.list_type in _KEYED:
        items = node.items or _ANYTHING
        return {".": {}, **{element_key(node, item): added(items, item) for item in value}}
    return {}


def changed(node: Node, old: Any, new: Any) -> tuple[Fields, Fields]:
    """Return the fields that were added or changed, and the fields that were removed."""
    before, after = children(node, old), children(node, new)
    if before is None or after is None:
        return {}, {}  # a leaf; the caller has compared it
    known = {key: (child, item) for key, child, item in before}
    more: Fields = {}
    less: Fields = {}
    for key, child, item in after:
        if key not in known:
            more[key] = added(child, item)
            continue
        _, previous = known.pop(key)
        if previous == item:
            continue
        up, down = changed(child, previous, item)
        if up or not down:
            more[key] = up
        if down:
            less[key] = down
    less |= {key: added(child, item) for key, (child, item) in known.items()}
    return more, less


def union(one: Fields, other: Fields) -> Fields:
    """Return the union of two sets."""
    return _combine(one, other, operator.or_)


def difference(one: Fields, other: Fields) -> Fields:
    """Return the fields of the first set that are not in the second."""
    return _combine(one, other, operator.gt)


def intersection(one: Fields, other: Fields) -> Fields:
    """Return the intersection of two sets."""
    return _combine(one, other, operator.and_)


def _combine(one: Fields, other: Fields, keep: Callable[[bool, bool], bool]) -> Fields:
    result: Fields = {}
    for key in {**one, **other}:
        if key == ".":
            continue
        left, right = one.get(key), other.get(key)
        if left is None or right is None:
            if keep(left is not None, right is not None):
                result[key] = right if left is None else left
            continue
        itself = keep(_names_itself(left), _names_itself(right))
        parts = _combine(left, right, keep)
        if itself or parts:
            result[key] = {".": {}, **parts} if itself and parts else parts
    return result


def _names_itself(fields: Fields) -> bool:
    return not fields or "." in fields


def leaves(fields: Fields, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all fields."""
    for key, inner in fields.items():
        if key == ".":
            yield path
        elif inner:
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


def render(path: tuple[str, ...]) -> str:
    """Format a path as in messages: `.spec.containers[name="a"].image`."""
    return "".join(_RENDER[element[0]](element[2:]) for element in path)


def _render_keys(text: str) -> str:
    keys = orjson.loads(text)
    return "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys.items()) + "]"


_RENDER: dict[str, Callable[[str], str]] = {
    "f": lambda name: f".{name}",
    "k": _render_keys,
    "v": lambda value: f"[={value}]",
}


def find(node: Node, value: Any, path: tuple[str, ...]) -> tuple[Node, Any]:
    """Return schema and value at a path; the value is MISSING if there is none."""
    for element in path:
        found = ((child, item) for key, child, item in children(node, value) or () if key == element)
        node, value = next(found, (_ANYTHING, MISSING))
    return node, value


def remove(node: Node, value: Any, fields: Fields) -> Any:
    """Return the value without these fields, or MISSING if it is empty then."""
    kept = []
    for key, child, item in children(node, value) or ():
        if key not in fields:
            kept.append((key, item))
        elif not _names_itself(fields[key]):
            rest = remove(child, item, fields[key])
            if rest is not MISSING:
                kept.append((key, rest))
    if not kept:
        return MISSING
    return {key[2:]: item for key, item in kept} if isinstance(value, dict) else [item for _, item in kept]
