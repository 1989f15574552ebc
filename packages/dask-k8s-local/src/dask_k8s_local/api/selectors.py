"""Label and field selectors, parsed into predicates. Does not read the store."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from dask_k8s_local.api import errors
from dask_k8s_local.api.catalog import Served

Object = Mapping[str, Any]
Predicate = Callable[[Object], bool]

_SET = re.compile(r"\s*([^\s=!,()]+)\s+(in|notin)\s*\(([^)]*)\)\s*")
_EQUAL = re.compile(r"\s*([^\s=!,()<>]+)\s*(==|=|!=)\s*([^\s,]*)\s*")
_EXISTS = re.compile(r"\s*(!?)\s*([^\s=!,()]+)\s*")

_COMMON_FIELDS = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
}  # fmt: skip


def selector(served: Served, labels: str, fields: str) -> Predicate | None:
    """Return a predicate for both selectors, or None if both are empty."""
    requirements = [*_labels(labels), *_fields(served, fields)]
    if not requirements:
        return None
    return lambda obj: all(requirement(obj) for requirement in requirements)


def _labels(text: str) -> list[Predicate]:
    found, at = [], 0
    while at < len(text):
        requirement, at = _label(text, at)
        found.append(requirement)
        if at < len(text) and text[at] != ",":
            token = re.split(r"[\s,]", text[at:].strip(), maxsplit=1)[0]
            expected = "in, notin, =, ==, !=, gt, lt"
            raise errors.bad_request(f"unable to parse requirement: found '{token}', expected: {expected}")
        at += 1
    return found


def _label(text: str, at: int) -> tuple[Predicate, int]:
    if match := _SET.match(text, at):
        key, operator, values = match[1], match[2], {value.strip() for value in match[3].split(",")}
        if operator == "in":
            return lambda obj: _labels_of(obj).get(key) in values, match.end()
        return lambda obj: _labels_of(obj).get(key) not in values, match.end()
    if match := _EQUAL.match(text, at):
        key, operator, value = match[1], match[2], match[3]
        if operator == "!=":
            return lambda obj: _labels_of(obj).get(key) != value, match.end()
        return lambda obj: _labels_of(obj).get(key) == value, match.end()
    if match := _EXISTS.match(text, at):
        key, must_exist = match[2], not match[1]
        return lambda obj: (key in _labels_of(obj)) == must_exist, match.end()
    raise errors.bad_request(f"unable to parse requirement: found '{text[at:]}', expected: identifier")


def _labels_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def _fields(served: Served, text: str) -> list[Predicate]:
    key = served.resource.key
    known = (*_COMMON_FIELDS, *_FIELDS.get(key, ()), *served.selectable)
    found = []
    for part in filter(None, text.split(",")):
        name, operator, value = _field(part)
        if name not in known:
            if key in _FIELDS or served.schema:
                raise errors.bad_request(f"field label not supported: {name}")
            only = 'only "metadata.name", "metadata.namespace"'
            raise errors.bad_request(f'"{name}" is not a known field selector: {only}')
        found.append(_field_requirement(name, operator, value))
    return found


def _field(part: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        name, found, value = part.partition(operator)
        if found:
            return name.strip(), operator, value.strip()
    raise errors.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")


def _field_requirement(name: str, operator: str, value: str) -> Predicate:
    path = name.split(".")

    def matches(obj: Object) -> bool:
        at: Any = obj
        for key in path:
            at = at.get(key) if isinstance(at, Mapping) else None
        if name == "source":
            at = (at or {}).get("component") or obj.get("reportingComponent")
        text = str(at).lower() if isinstance(at, bool) else "" if at is None else str(at)
        if isinstance(at, bool | None) and name in {"spec.unschedulable", "spec.hostNetwork"}:
            text = "true" if at else "false"
        return (text == value) != (operator == "!=")

    return matches


def exact(fields: str, name: str) -> str | None:
    """Return the value that a field must equal, if the selector requires one."""
    for part in fields.split(","):
        key, equals, value = part.partition("=")
        if key.strip() == name and equals:
            return value.removeprefix("=").strip()
    return None
