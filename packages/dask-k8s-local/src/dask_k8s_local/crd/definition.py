"""What a CustomResourceDefinition defines: collections, one per served version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from dask_k8s_local.api.catalog import Served
from dask_k8s_local.resources import Resource
from dask_k8s_local.schema.node import Node
from dask_k8s_local.strategy.custom import Custom

Object = Mapping[str, Any]


def served(definition: Object) -> Iterator[Served]:
    """Yield the collections that a definition adds."""
    spec = definition["spec"]
    names = spec["names"]
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        resource = Resource(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            singular=names.get("singular", ""),
            list_kind=names.get("listKind", ""),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            namespaced=spec["scope"] == "Namespaced",
            subresources=frozenset(subresources),
        )
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
        scale = subresources.get("scale")
        strategy = _strategy(resource, schema)
        strategy.replicas_path = (scale or {}).get("specReplicasPath", "")
        yield Served(
            resource,
            strategy,
            columns=tuple(version.get("additionalPrinterColumns") or ()),
            scale=scale,
            selectable=tuple(item["jsonPath"].lstrip(".") for item in version.get("selectableFields") or ()),
            schema=schema,
            storage=bool(version.get("storage")),
        )


def _strategy(resource: Resource, schema: Object) -> Custom:
    strategy = Custom(resource, schema)
    if _mentions_rules(schema):
        from dask_k8s_local.crd import cel  # noqa: PLC0415  # 0.2 s, for those who have rules

        root: Node = cel.root(strategy.judged)
        strategy.rules = partial(cel.check, root)
    return strategy


def _mentions_rules(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return "x-kubernetes-validations" in schema or any(map(_mentions_rules, schema.values()))
    return isinstance(schema, list) and any(map(_mentions_rules, schema))
