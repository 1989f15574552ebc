"""Strategic merge patch: merges lists by key, and supports the directives that kubectl writes.

`$patch: replace | delete`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`, `$retainKeys`.
"""

from collections.abc import Mapping
from typing import Any

from dask_k8s_local.schema.node import Node


class BadPatch(ValueError):
    """The patch cannot be applied to the object."""


def merge(node: Node, current: Any, patch: Any) -> Any:
    """Return `current` with the patch merged in."""
    if isinstance(patch, dict):
        return _merge_map(node, current if isinstance(current, dict) else {}, patch)
    return patch


def merge_json(current: Any, patch: Any) -> Any:
    """Return `current` with a JSON merge patch (RFC 7386) merged in."""
    if not isinstance(patch, dict):
        return patch
    result = {**current} if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_json(result.get(key), value)
    return result


def _merge_map(node: Node, current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result = _retained(current, patch)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        child = node.properties.get(key) or node.additional or Node()
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _merge_list(child, result.get(key) or [], value)
        else:
            result[key] = merge(child, result.get(key), value)
    for key, order in patch.items():
        name = key.partition("/")[2]
        if key.startswith("$setElementOrder/") and name in result:
            child = node.properties.get(name) or Node()
            result[name] = _ordered(child, result[name], order, current.get(name) or [])
    return result


def _retained(current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a map after the directives that remove keys and items."""
    keys = patch.get("$retainKeys", current)
    result = {key: value for key, value in current.items() if key in keys}
    for key, items in patch.items():
        name = key.partition("/")[2]
        if key.startswith("$deleteFromPrimitiveList/"):
            result[name] = [item for item in result.get(name) or () if item not in items]
    return result


def _merge_list(node: Node, current: list[Any], patch: list[Any]) -> list[Any]:
    if "merge" not in node.merge_strategies:
        return patch
    if not node.merge_key:  # a set of scalars
        merged = [*current, *(item for item in patch if item not in current)]
        return _ordered(node, merged, patch, current)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and item.get("$patch") == "replace")]
    merged = list(current)
    for item in patch:
        key = item.get(node.merge_key) if isinstance(item, dict) else None
        if key is None:
            raise BadPatch(f"map: {item!r} does not contain declared merge key: {node.merge_key}")
        at = next((index for index, old in enumerate(merged) if old.get(node.merge_key) == key), None)
        if item.get("$patch") == "delete":
            merged = [old for old in merged if old.get(node.merge_key) != key]
        elif at is None:
            merged.append(merge(node.items or Node(), {}, item))
        else:
            merged[at] = merge(node.items or Node(), merged[at], item)
    return _ordered(node, merged, patch, current)


def _ordered(node: Node, merged: list[Any], order_keys: list[Any], before: list[Any]) -> list[Any]:
    """Sort the items in `order_keys`; other items stay before the items that they preceded."""

    def name(item: Any) -> Any:
        return item.get(node.merge_key) if node.merge_key and isinstance(item, dict) else item

    order, places = [name(item) for item in order_keys], [name(item) for item in before]
    named = sorted((item for item in merged if name(item) in order), key=lambda item: order.index(name(item)))
    others = [item for item in merged if name(item) not in order]
    result: list[Any] = []
    while named and others:
        ours, theirs = name(others[0]), name(named[0])
        first = ours in places and theirs in places and places.index(ours) < places.index(theirs)
        result.append((others if first else named).pop(0))
    return [*result, *named, *others]
