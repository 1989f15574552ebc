"""The strategy of custom resources: pruning, defaults and validation by their schema.

CEL rules are in `crd`.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

from dask_k8s_local.resources import Resource
from dask_k8s_local.schema import builtin, problems
from dask_k8s_local.schema.decode import DecodeError, decode
from dask_k8s_local.schema.node import MISSING, Node, compile_node
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.schema.pruning import conform
from dask_k8s_local.schema.validate import check_lists, validate
from dask_k8s_local.strategy.base import Object, Strategy, keep

Rules = Callable[[Any, Any], Iterator[Problem]]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class CustomResources(Strategy):
    """Custom resources; `rules` yields the CEL rules that an object, or its change, violates."""

    unconditional_update = False

    rules: Rules | None = None
    replicas_path = ""
    """`specReplicasPath` of the scale subresource."""

    def __init__(self, resource: Resource, schema: Mapping[str, Any]) -> None:
        super().__init__(resource)
        self.validated_node = compile_node(schema)
        node = copy(self.validated_node)
        text = Node(type="string")
        meta = {"apiVersion": text, "kind": text, "metadata": builtin.node(_META)}
        node.properties = {**node.properties, **meta}
        self._node = node

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Prune unknown fields and set defaults."""
        metadata = obj.get("metadata")
        if not isinstance(metadata, dict | None):
            raise DecodeError("json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta")
        known, unknown = decode(builtin.node(_META), metadata or {})
        conformed, more = conform(self.node, {**obj, "metadata": known})
        return conformed, [*(f"metadata.{path}" for path in unknown), *more]

    def prepare_create(self, obj: Object) -> None:
        """Set the first generation."""
        super().prepare_create(obj)
        obj["metadata"]["generation"] = 1

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Increase the generation after changes of anything but metadata and the status subresource."""
        super().prepare_update(obj, old)
        before = old["metadata"].get("generation", 1)
        changed = any(obj.get(key) != old.get(key) for key in {*obj, *old} - {"metadata"})
        obj["metadata"]["generation"] = before + changed

    def prepare_status(self, obj: Object, old: Object) -> None:
        """Keep everything but the status and the managed fields."""
        super().prepare_status(obj, old)
        keep(obj["metadata"], old["metadata"], "generation")

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate a new object."""
        return self._validate(obj, MISSING)

    def validate_update(self, obj: Object, old: Object) -> Iterator[Problem]:
        """Validate a changed object; unchanged fields stay valid."""
        return self._validate(obj, old)

    def validate_status(self, obj: Object, old: Object) -> Iterator[Problem]:
        """Validate the status."""
        return self._validate(obj, old)

    def _validate(self, obj: Object, old: Any) -> Iterator[Problem]:
        found = [*validate(self.validated_node, obj, old=old), *self._validate_scale(obj)]
        found += check_lists(self.validated_node, obj)
        yield from found
        if self.rules is None:
            return
        if any(problem.reason in _BLOCKING for problem in found):
            yield problems.invalid("<nil>", None, _NOT_CHECKED)
        else:
            yield from self.rules(obj, old)

    def _validate_scale(self, obj: Object) -> Iterator[Problem]:
        """Validate the replicas of the scale subresource."""
        path = self.replicas_path
        at: Any = obj
        for key in path.strip(".").split(".") if path else ():
            at = at.get(key) if isinstance(at, dict) else None
        if at is None or not path:
            return
        if not isinstance(at, int):
            message = f"{path} accessor error: {at} is of the type string, expected int64"
            yield problems.invalid(path, 0, message)
        elif at < 0:
            yield problems.invalid(path, at, "should be a non-negative integer")
