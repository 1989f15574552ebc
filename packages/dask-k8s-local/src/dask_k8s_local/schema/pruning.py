"""Decodes custom resources: prunes (and reports) unknown fields, and sets defaults. Does not validate."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from dask_k8s_local.schema.decode import Path, render
from dask_k8s_local.schema.node import MISSING, Node

_META = frozenset({"apiVersion", "kind", "metadata"})


def conform(node: Node, value: Any) -> tuple[Any, list[str]]:
    """Return the pruned value with defaults, and the paths of unknown fields."""
    unknown: list[str] = []
    return _conform(node, value, [], unknown), sorted(unknown)


def _conform(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if type(value) is dict:
        return _object(node, value, path, unknown)
    if type(value) is list:
        if node.items is None:
            return value
        return [_item(node.items, item, [*path, index], unknown) for index, item in enumerate(value)]
    return value


def _object(node: Node, value: Mapping[str, Any], path: Path, unknown: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        child = node.properties.get(key) or node.additional
        if child is None:
            if node.preserve or (node.embedded and key in _META):
                out[key] = item
            else:
                unknown.append(render(path, key))
            continue
        if item is None and not child.nullable and child.default is MISSING:
            continue  # null without a default is pruned
        out[key] = _item(child, item, [*path, key], unknown)
    for key, default in node.defaults.items():
        if key not in out:
            out[key] = _conform(node.properties[key], deepcopy(default), path, [])
    return out


def _item(node: Node, value: Any, path: Path, unknown: list[str]) -> Any:
    if value is None and not node.nullable and node.default is not MISSING:
        value = deepcopy(node.default)
    return _conform(node, value, path, unknown) if type(value) in {dict, list} else value
