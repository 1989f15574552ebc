"""Validate values against structural schemas and rules, as the API server does and with its messages.

This module does not know where schemas come from.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask_k8s_crds import validation_rules
from dask_k8s_crds.structural_schema import PRESERVE, Schema
from dask_k8s_crds.validation_rules import ValidationRule

_INT_OR_STRING = ("integer", "string")


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid field and why, for example `spec.worker.replicas` and `Invalid value: -1: ...`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidObject(ValueError):
    """An object that the API server would refuse, with all of its problems, at least one."""

    def __init__(self, kind: str, name: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(kind, name, problems)
        self.kind = kind
        self.name = name
        self.problems = problems

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}" is invalid: ' + "; ".join(map(str, self.problems))


def check(schema: Schema, value: Any, path: str = "") -> list[Problem]:
    """Return all problems of a value; an empty list if it fits the schema."""
    return list(_walk(schema, value, path))


def broken(rules: Iterable[ValidationRule], value: Any, path: str = "") -> list[Problem]:
    """Return a problem for each rule that the value breaks."""
    return [
        Problem(f"{path}{rule.field}".removeprefix("."), f'Invalid value: "{_type(value)}": {rule.message}')
        for rule in rules
        if rule.holds and not rule.holds(value)
    ]


def _walk(schema: Schema, value: Any, path: str) -> Iterator[Problem]:
    actual = _type(value)
    expected = _INT_OR_STRING if "x-kubernetes-int-or-string" in schema else (schema["type"],)
    if actual not in expected and not (actual == "integer" and "number" in expected):
        types = ",".join(expected)
        yield Problem(path, f'Invalid value: "{actual}": {path} in body must be of type {types}: "{actual}"')
        return
    check_type = _CHECKS.get(actual)
    problems = list(check_type(schema, value, path)) if check_type else []
    yield from problems
    if "x-kubernetes-validations" in schema and not problems:
        expressions = (validation["rule"] for validation in schema["x-kubernetes-validations"])
        rules = filter(None, map(validation_rules.BY_CEL.get, expressions))
        yield from broken(rules, value, path)


def _type(value: Any) -> str:
    match value:
        case str():
            return "string"
        case dict():
            return "object"
        case list() | tuple():
            return "array"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case None:
            return "null"
        case _:
            return type(value).__name__


def _object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[Problem]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties")
    prefix = f"{path}." if path else ""
    for key, item in value.items():
        inner = properties.get(key, others)
        if inner is None:
            if PRESERVE not in schema:
                yield Problem(f"{prefix}{key}", "unknown field")
        elif item is not None:  # an explicit null means absent
            yield from _walk(inner, item, f"{prefix}{key}")
    for key in schema.get("required", ()):
        if value.get(key) is None:
            yield Problem(f"{prefix}{key}", "Required value")


def _array(schema: Schema, value: Sequence[Any], path: str) -> Iterator[Problem]:
    if len(value) < (least := schema.get("minItems", 0)):
        yield Problem(path, f"Invalid value: {len(value)}: {path} in body should have at least {least} items")
    if len(value) > (most := schema.get("maxItems", len(value))):
        yield Problem(path, f"Too many: {len(value)}: must have at most {most} items")
    for index, item in enumerate(value):
        yield from _walk(schema["items"], item, f"{path}[{index}]")
    yield from _duplicates(schema.get("x-kubernetes-list-map-keys", ()), value, path)


def _duplicates(keys: Sequence[str], value: Sequence[Any], path: str) -> Iterator[Problem]:
    """Yield a problem for each key that occurs twice in a list of type map."""
    seen: list[dict[str, Any]] = []
    for index, item in enumerate(value if keys else ()):
        key = {name: item[name] for name in keys if name in item} if isinstance(item, dict) else {}
        if key and seen.count(key) == 1:
            yield Problem(f"{path}[{index}]", f"Duplicate value: {json.dumps(key, separators=(',', ':'))}")
        seen.append(key)


def _string(schema: Schema, value: str, path: str) -> Iterator[Problem]:
    if (choices := schema.get("enum")) and value not in choices:
        supported = ", ".join(f'"{choice}"' for choice in choices)
        yield Problem(path, f'Unsupported value: "{value}": supported values: {supported}')
    if (pattern := schema.get("pattern")) and not _matches(pattern, value):
        yield Problem(path, f"Invalid value: \"{value}\": {path} in body should match '{pattern}'")
    if len(value) > (most := schema.get("maxLength", len(value))):
        yield Problem(path, f"Too long: may not be more than {most} bytes")


def _matches(pattern: str, value: str) -> bool:
    # In Go, and so in CRDs, `$` matches only at the end; in Python it also matches before a final newline.
    return re.search(re.sub(r"\$$", r"\\Z", pattern), value) is not None


def _number(schema: Schema, value: float, path: str) -> Iterator[Problem]:
    least = schema.get("minimum", value)
    exclusive = schema.get("exclusiveMinimum", False)
    if value < least or (exclusive and value == least):
        bound = "greater than" if exclusive else "greater than or equal to"
        yield Problem(path, f"Invalid value: {value}: {path} in body should be {bound} {least}")
    if value > (most := schema.get("maximum", value)):
        yield Problem(path, f"Invalid value: {value}: {path} in body should be less than or equal to {most}")


_CHECKS: Mapping[str, Callable[[Schema, Any, str], Iterator[Problem]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
    "number": _number,
}
