"""Strategies of kinds with one or two rules: Namespace, ConfigMap, Secret, Event and role bindings."""

import base64
from collections.abc import Iterable, Iterator

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import names
from dask_k8s_local.strategy.base import Object, Strategy, keep

_SIZE_MAX = 1024 * 1024
"""Bytes in a ConfigMap or Secret at most."""
_IMMUTABLE = "field is immutable when `immutable` is set"


class Namespaces(Strategy):
    """Namespaces, which the namespace controller empties before they are deleted."""

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the namespace and label it with its name."""
        namespace, unknown = super().decode(obj)
        metadata = namespace.get("metadata") or {}
        if name := metadata.get("name"):
            metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": name}
        return namespace, unknown

    def prepare_create(self, obj: Object) -> None:
        """Set the phase, and the finalizer of the namespace controller."""
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        obj["spec"] = {
            "finalizers": [*finalizers, *(["kubernetes"] if "kubernetes" not in finalizers else [])]
        }
        obj["status"] = {"phase": "Active"}

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Keep the spec, which only the subresource `finalize` changes."""
        super().prepare_update(obj, old)
        keep(obj, old, "spec")

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate the finalizers."""
        for finalizer in obj["spec"]["finalizers"]:
            for message in names.qualified(finalizer):
                yield problems.invalid("spec.finalizers", finalizer, message)
            if "/" not in finalizer and finalizer != "kubernetes":
                message = "name is neither a standard finalizer name nor is it fully qualified"
                yield problems.invalid("spec.finalizers", finalizer, message)


class DataObjects(Strategy):
    """The strategy of ConfigMaps and Secrets."""

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the object and encode `stringData` as `data`."""
        decoded, unknown = super().decode(obj)
        text = decoded.pop("stringData", None) if self.resource.kind == "Secret" else None
        if text:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
            decoded["data"] = {**(decoded.get("data") or {}), **encoded}
        return decoded, unknown

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate keys and size."""
        size = 0
        for field in ("data", "binaryData"):
            for key, value in (obj.get(field) or {}).items():
                yield from (
                    problems.invalid(f"{field}[{key}]", key, message) for message in names.config_key(key)
                )
                size += len(value.encode())
        both = {*(obj.get("data") or ())} & {*(obj.get("binaryData") or ())}
        for key in both:
            yield problems.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        if size > _SIZE_MAX:
            yield problems.too_long("data" if self.resource.kind == "Secret" else "", _SIZE_MAX)

    def validate_update(self, obj: Object, old: Object) -> Iterator[Problem]:
        """Validate a changed object; immutable fields must not change."""
        if old.get("immutable"):
            if not obj.get("immutable"):
                yield problems.forbidden("immutable", _IMMUTABLE)
            for field in ("data", "binaryData"):
                if (obj.get(field) or {}) != (old.get(field) or {}):
                    yield problems.forbidden(field, _IMMUTABLE)
        if self.resource.kind == "Secret" and obj.get("type") != old.get("type"):
            yield problems.invalid("type", obj.get("type"), "field is immutable")
        yield from self.validate(obj)


class ReturnsDeleted(Strategy):
    """Kinds without rules, whose DELETE returns the object."""

    returns_deleted = True


_EMPTY_FIELDS: Object = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}


class Events(Strategy):
    """The strategy of Events."""

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the Event and add the empty fields that Go writes."""
        event, unknown = super().decode(obj)
        return {**_EMPTY_FIELDS, **event}, unknown

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate that the Event is in the namespace of its object."""
        about = (obj.get("involvedObject") or {}).get("namespace", "")
        namespace = obj["metadata"]["namespace"]
        if about != namespace and (about or namespace != "default"):
            message = "does not match event.namespace" if about else "does not match involvedObject.namespace"
            yield problems.invalid("involvedObject.namespace", about, message)


class Bindings(Strategy):
    """RoleBindings and ClusterRoleBindings, whose role is immutable."""

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Validate that the role has not changed."""
        if obj.get("roleRef") != old.get("roleRef"):
            yield problems.invalid("roleRef", obj.get("roleRef"), "cannot change roleRef")
        yield from self.validate(obj)
