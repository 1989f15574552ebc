"""The base class of strategies. Its defaults suit kinds that are plain data."""

from collections.abc import Iterable
from typing import Any

from dask_k8s_local.resources import Resource
from dask_k8s_local.schema import builtin
from dask_k8s_local.schema.decode import decode
from dask_k8s_local.schema.node import Node
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import names

Object = dict[str, Any]


class Strategy:
    """The strategy of a kind; `prepare_*` can replace top-level fields and metadata of the new object."""

    returns_deleted = False
    """Whether DELETE returns the object instead of a Status."""
    unconditional_update = True
    """Whether PUT works without a resourceVersion."""

    def __init__(self, resource: Resource, *, check_name: names.NameCheck = names.subdomain) -> None:
        self.resource = resource
        self.check_name = check_name
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """Return the schema, which is compiled on first use."""
        if self._node is None:
            name = builtin.schema_name(self.resource.group, self.resource.version, self.resource.kind)
            self._node = builtin.node(name or "")
        return self._node

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Return the decoded object with defaults, and the paths of unknown fields."""
        return decode(self.node, obj)

    def prepare_create(self, obj: Object) -> None:
        """Set and remove fields of a new object that clients cannot set."""
        if "status" in self.resource.subresources:
            obj.pop("status", None)

    def prepare_named(self, obj: Object) -> None:
        """Set fields that depend on the name and uid of a new object."""
        del obj

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Keep fields of a changed object that clients cannot set, such as the status."""
        if "status" in self.resource.subresources:
            keep(obj, old, "status")

    def prepare_status(self, obj: Object, old: Object) -> None:
        """Keep everything but the status in an update of the status."""
        for key in {*obj, *old} - {"status", "metadata"}:
            keep(obj, old, key)
        obj["metadata"] = {**old["metadata"], "resourceVersion": obj["metadata"].get("resourceVersion")}

    def validate(self, obj: Object) -> Iterable[Problem]:
        """Yield the problems of a new object, apart from its metadata."""
        del obj
        return ()

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Yield the problems of a changed object, apart from its metadata."""
        del old
        return self.validate(obj)

    def validate_status(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Yield the problems of a changed status."""
        del obj, old
        return ()


def keep(obj: Object, old: Object, key: str) -> None:
    """Set a field to its old value, or remove it."""
    if key in old:
        obj[key] = old[key]
    else:
        obj.pop(key, None)


def count_generation(obj: Object, old: Object) -> None:
    """Increase the generation if the spec has changed."""
    changed = obj.get("spec") != old.get("spec")
    obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + changed
