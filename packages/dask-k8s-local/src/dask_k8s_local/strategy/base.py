"""What a kind may say of itself; the defaults suit a kind that is plain data."""

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
    """A built-in kind. `prepare_*` may change the new object, which is theirs, but not what it shares."""

    returns_deleted = False  # DELETE answers with the object, not with a Status
    unconditional_update = True  # PUT without resourceVersion

    def __init__(self, resource: Resource, *, check_name: names.NameCheck = names.subdomain) -> None:
        self.resource = resource
        self.check_name = check_name
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """Return the schema; compiled when first asked for."""
        if self._node is None:
            name = builtin.schema_name(self.resource.group, self.resource.version, self.resource.kind)
            self._node = builtin.node(name or "")
        return self._node

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Return the object as the server understands it, and the paths of unknown fields."""
        return decode(self.node, obj)

    def prepare_create(self, obj: Object) -> None:
        """Set and drop what is not the client's to say."""
        if "status" in self.resource.subresources:
            obj.pop("status", None)

    def prepare_named(self, obj: Object) -> None:
        """Set what follows from the name and the uid of a new object."""
        del obj

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Likewise for an update: the status has its own door."""
        if "status" in self.resource.subresources:
            keep(obj, old, "status")

    def prepare_status(self, obj: Object, old: Object) -> None:
        """Keep everything but the status."""
        for key in {*obj, *old} - {"status", "metadata"}:
            keep(obj, old, key)
        obj["metadata"] = {**old["metadata"], "resourceVersion": obj["metadata"].get("resourceVersion")}

    def validate(self, obj: Object) -> Iterable[Problem]:
        """Yield what is wrong with a new object, metadata apart."""
        del obj
        return ()

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Yield what is wrong with a changed object, metadata apart."""
        del old
        return self.validate(obj)

    def validate_status(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Yield what is wrong with a changed status."""
        del obj, old
        return ()


def keep(obj: Object, old: Object, key: str) -> None:
    """Let a part of the object be what it was."""
    if key in old:
        obj[key] = old[key]
    else:
        obj.pop(key, None)


def count_generation(obj: Object, old: Object) -> None:
    """Count a change of what is wanted."""
    changed = obj.get("spec") != old.get("spec")
    obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + changed
