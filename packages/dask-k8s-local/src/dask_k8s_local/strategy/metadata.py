"""Validation of metadata, for all kinds."""

from collections.abc import Iterator, Mapping
from typing import Any

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import names

Metadata = Mapping[str, Any]

_ANNOTATIONS_MAX = 256 * 1024
_FIXED = ("name", "namespace", "uid")
_IMMUTABLE = "field is immutable"


def validate(metadata: Metadata, check_name: names.NameCheck) -> Iterator[Problem]:
    """Yield the problems of the metadata of a new object, whose name is already generated."""
    if generate := metadata.get("generateName"):
        masked = generate[:-1] + "a" if generate.endswith("-") else generate
        yield from (
            problems.invalid("metadata.generateName", generate, message) for message in check_name(masked)
        )
    if name := metadata.get("name"):
        yield from (problems.invalid("metadata.name", name, message) for message in check_name(name))
    else:
        yield problems.required("metadata.name", "name or generateName is required")
    yield from validate_common(metadata)
    for finalizer in metadata.get("finalizers") or ():
        yield from (
            problems.invalid("metadata.finalizers", finalizer, message)
            for message in names.qualified(finalizer)
        )


def validate_update(metadata: Metadata, old: Metadata) -> Iterator[Problem]:
    """Yield the problems of the metadata of a changed object."""
    if old.get("deletionTimestamp"):
        more = sorted({*(metadata.get("finalizers") or ())} - {*(old.get("finalizers") or ())})
        if more:
            quoted = ", ".join(f'"{name}"' for name in more)
            message = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield problems.forbidden("metadata.finalizers", f"{message} []string{{{quoted}}}")
    for key in _FIXED:
        if metadata.get(key, "") != old.get(key, ""):
            yield problems.invalid(f"metadata.{key}", metadata.get(key, ""), _IMMUTABLE)
    yield from validate_common(metadata)


def validate_common(metadata: Metadata) -> Iterator[Problem]:
    """Yield the problems of labels, annotations and owner references."""
    yield from validate_labels(metadata.get("labels") or {}, "metadata.labels")
    yield from validate_annotations(metadata.get("annotations") or {}, "metadata.annotations")
    yield from _owners(metadata.get("ownerReferences") or ())


def validate_labels(labels: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Yield the problems of labels."""
    for key, value in labels.items():
        yield from (problems.invalid(path, key, message) for message in names.qualified(key))
        yield from (problems.invalid(path, value, message) for message in names.label_value(value))


def validate_annotations(annotations: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Yield the problems of annotations."""
    for key in annotations:
        yield from (problems.invalid(path, key, message) for message in names.qualified(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _ANNOTATIONS_MAX:
        yield problems.too_long(path, _ANNOTATIONS_MAX)


def _owners(references: Any) -> Iterator[Problem]:
    path = "metadata.ownerReferences"
    controllers = []
    for reference in references:
        for key, message in _OWNER.items():
            if not reference.get(key):
                yield problems.invalid(f"{path}.{key}", reference.get(key, ""), message)
        if reference.get("controller"):
            controllers.append(f"{reference.get('kind')}/{reference.get('name')}")
    for other in controllers[1:]:
        message = 'Only one reference can have Controller set to true. Found "true" in references for '
        yield problems.invalid(path, references, f"{message}{controllers[0]} and {other}")


_OWNER = {
    "apiVersion": "version must not be empty",
    "kind": "must not be empty",
    "name": "must not be empty",
    "uid": "must not be empty",
}
