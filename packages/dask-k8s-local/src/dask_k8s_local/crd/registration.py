"""Serves the kinds of CustomResourceDefinitions, sets their conditions and deletes their objects."""

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from dask_k8s_local.api.catalog import Catalog, Served
from dask_k8s_local.api.delete import CLEANUP
from dask_k8s_local.resources import CRDS, Resource
from dask_k8s_local.schema.node import Node
from dask_k8s_local.store import Object, Store, timestamp
from dask_k8s_local.strategy.custom_resources import CustomResources

_ACCEPTED = (
    ("NamesAccepted", "NoConflicts", "no conflicts found"),
    ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
)


class Registration:
    """The collections of custom resources."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._specs: dict[str, Any] = {}
        """The specs that are served, by the name of the definition."""
        self._terminating: set[str] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            async for event in self._store.watch(CRDS):
                name = event.object["metadata"]["name"]
                current = self._store.get(CRDS, None, name)
                if event.type == "DELETED" or current is None:
                    self._forget(name)
                    continue
                if current["spec"] != self._specs.get(name):
                    self._serve(name, current)
                if not current["metadata"].get("deletionTimestamp"):
                    self._accept(current)
                elif name not in self._terminating:
                    self._terminating.add(name)
                    tasks.create_task(self._clean_up(name, current))

    def _serve(self, name: str, crd: Object) -> None:
        spec = crd["spec"]
        if name in self._specs:
            self._catalog.remove(spec["group"], spec["names"]["plural"])
        for version in served_versions(crd):
            self._catalog.add(version)
        self._specs[name] = spec

    def _forget(self, name: str) -> None:
        spec = self._specs.pop(name, None)
        if spec:
            group, plural = spec["group"], spec["names"]["plural"]
            found = [
                one.resource
                for one in self._catalog
                if (one.resource.group, one.resource.plural) == (group, plural)
            ]
            self._catalog.remove(group, plural)
            for resource in found[:1]:
                self._store.drop(resource)

    def _accept(self, crd: Object) -> None:
        """Set the conditions and names of an accepted definition."""
        status = crd.get("status") or {}
        conditions = {item["type"]: item for item in status.get("conditions") or ()}
        for kind, reason, message in _ACCEPTED:
            if conditions.get(kind, {}).get("status") != "True":
                conditions[kind] = {
                    "type": kind,
                    "status": "True",
                    "lastTransitionTime": timestamp(),
                    "reason": reason,
                    "message": message,
                }
        stored = [*(status.get("storedVersions") or ())]
        stored += [
            item["name"] for item in crd["spec"]["versions"] if item["storage"] and item["name"] not in stored
        ]
        new = {
            "conditions": list(conditions.values()),
            "acceptedNames": crd["spec"]["names"],
            "storedVersions": stored,
        }
        self._store.update(CRDS, {**crd, "status": new})

    async def _clean_up(self, name: str, crd: Object) -> None:
        """Delete all objects of a kind, then the finalizer of its definition."""
        resource = self._resource(crd)
        while resource is not None and (found := self._store.list(resource)):
            version = self._store.version
            for obj in found:
                if not obj["metadata"].get("deletionTimestamp"):
                    self._store.delete(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"])
            if self._store.version == version:
                await self._store.wait_for_change(resource, version)
        self._terminating.discard(name)
        current = self._store.get(CRDS, None, name)
        if current is not None:
            metadata = current["metadata"]
            left = [item for item in metadata.get("finalizers") or () if item != CLEANUP]
            self._store.update(CRDS, {**current, "metadata": {**metadata, "finalizers": left}})

    def _resource(self, crd: Object) -> Resource | None:
        spec = crd["spec"]
        versions = (
            self._catalog.find(spec["group"], item["name"], spec["names"]["plural"])
            for item in spec["versions"]
        )
        return next((found.resource for found in versions if found), None)


def served_versions(definition: Object) -> Iterator[Served]:
    """Yield the served versions of a definition."""
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


def _strategy(resource: Resource, schema: Object) -> CustomResources:
    strategy = CustomResources(resource, schema)
    if _mentions_rules(schema):
        from dask_k8s_local.crd import cel  # noqa: PLC0415  # slow to import, and only needed for rules

        root: Node = cel.root(strategy.validated_node)
        strategy.rules = partial(cel.check, root)
    return strategy


def _mentions_rules(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return "x-kubernetes-validations" in schema or any(map(_mentions_rules, schema.values()))
    return isinstance(schema, list) and any(map(_mentions_rules, schema))
