"""How large an object may be. The controller copies templates into pods, and must stay responsive."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from dask_k8s_crds import labels
from dask_k8s_crds.validation import Problem

SIZE_MAX = 128 * 1024
"""The most bytes that labels, annotations and spec of an object have as JSON."""
_PATH_MAX = 3
"""How long the path of the largest field may be: each further name costs a look at all bytes."""
_JSON = TypeAdapter[Any](Any)


def too_large(kind: str, body: Mapping[str, Any]) -> Problem | None:
    """Return that an object is larger than `SIZE_MAX`, at the field that has most of it; None if it is not.

    Annotations that children do not inherit, such as kubectl's copy of the object, do not count.
    """
    metadata = _mapping(body.get("metadata"))
    annotations = labels.inherited(_mapping(metadata.get("annotations")))
    counted = {
        "metadata": {"labels": metadata.get("labels"), "annotations": annotations},
        "spec": body.get("spec"),
    }
    try:
        size = _size(counted)
    except ValueError as error:
        return Problem(
            "spec", f"Invalid value: it cannot be written as JSON, with at most 250 levels: {error}"
        )
    if size <= SIZE_MAX:
        return None
    detail = (
        f"Too long: labels, annotations and spec of the {kind} have {size} bytes as JSON, most of them here, "
        f"and may have at most {SIZE_MAX}; move large values, such as files and scripts, into a ConfigMap "
        "or a Secret that the pods mount"
    )
    return Problem(_largest(counted, size), detail)


def _largest(value: Any, size: int) -> str:
    """Return the path of the field that has more than half of all bytes."""
    path: list[str] = []
    while isinstance(value, Mapping) and len(path) < _PATH_MAX:
        found = next((name for name, inner in value.items() if _size(inner) > size / 2), None)
        if found is None:
            break
        path.append(found)
        value = value[found]
    return ".".join(path)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _size(value: Any) -> int:
    return len(_JSON.dump_json(value))
