"""Whether a value fits a structural schema, as the API server decides it and in its words.

A walk over both; where schemas come from is not its business.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dask_k8s_crds import validation_rules
from dask_k8s_crds.problems import Problem
from dask_k8s_crds.structural import PRESERVE, Schema
from dask_k8s_crds.validation_rules import ValidationRule

_INT_OR_STRING = ("integer", "string")


def check(schema: Schema, value: Any, path: str = "") -> list[Problem]:
    """Return everything that is wrong with a value; nothing, if it fits."""
    problems: list[Problem] = []
    _walk(schema, value, path, problems)
    return problems


def broken(rules: Iterable[ValidationRule], value: Any, path: str = "") -> list[Problem]:
    """Return a problem for each rule that a value breaks."""
    return [
        Problem(f"{path}{rule.field}".removeprefix("."), f'Invalid value: "{_type(value)}": {rule.message}')
        for rule in rules
        if rule.holds and not rule.holds(value)
    ]


def _walk(schema: Schema, value: Any, path: str, problems: list[Problem]) -> None:
    actual = _type(value)
    expected = _INT_OR_STRING if "x-kubernetes-int-or-string" in schema else (schema["type"],)
    if actual not in expected and not (actual == "integer" and "number" in expected):
        word = ",".join(expected)
        message = f'Invalid value: "{actual}": {path} in body must be of type {word}: "{actual}"'
        problems.append(Problem(path, message))
        return
    before = len(problems)
    if inside := _INSIDE.get(actual):
        inside(schema, value, path, problems)
    if "x-kubernetes-validations" in schema and len(problems) == before:
        expressions = (validation["rule"] for validation in schema["x-kubernetes-validations"])
        rules = filter(None, map(validation_rules.BY_CEL.get, expressions))
        problems += broken(rules, value, path)


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


def _object(schema: Schema, value: dict[str, Any], path: str, problems: list[Problem]) -> None:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties")
    prefix = f"{path}." if path else ""
    for key, item in value.items():
        inner = properties.get(key, others)
        if inner is None:
            if PRESERVE not in schema:
                problems.append(Problem(f"{prefix}{key}", "unknown field"))
        elif item is not None:  # an explicit null means absent
            _walk(inner, item, f"{prefix}{key}", problems)
    problems += [
        Problem(f"{prefix}{key}", "Required value")
        for key in schema.get("required", ())
        if value.get(key) is None
    ]


def _array(schema: Schema, value: Sequence[Any], path: str, problems: list[Problem]) -> None:
    if len(value) < (least := schema.get("minItems", 0)):
        message = f"Invalid value: {len(value)}: {path} in body should have at least {least} items"
        problems.append(Problem(path, message))
    if len(value) > (most := schema.get("maxItems", len(value))):
        problems.append(Problem(path, f"Too many: {len(value)}: must have at most {most} items"))
    for index, item in enumerate(value):
        _walk(schema["items"], item, f"{path}[{index}]", problems)
    problems += _duplicates(schema.get("x-kubernetes-list-map-keys", ()), value, path)


def _duplicates(keys: Sequence[str], value: Sequence[Any], path: str) -> Iterator[Problem]:
    """Yield a problem for each second item of the same keys, in a list that is a map."""
    seen: list[dict[str, Any]] = []
    for index, item in enumerate(value if keys else ()):
        key = {name: item[name] for name in keys if name in item} if isinstance(item, dict) else {}
        if key and seen.count(key) == 1:
            yield Problem(f"{path}[{index}]", f"Duplicate value: {json.dumps(key, separators=(',', ':'))}")
        seen.append(key)


def _string(schema: Schema, value: str, path: str, problems: list[Problem]) -> None:
    if (choices := schema.get("enum")) and value not in choices:
        supported = ", ".join(f'"{choice}"' for choice in choices)
        problems.append(Problem(path, f'Unsupported value: "{value}": supported values: {supported}'))
    if (pattern := schema.get("pattern")) and not _matches(pattern, value):
        message = f"Invalid value: \"{value}\": {path} in body should match '{pattern}'"
        problems.append(Problem(path, message))
    if len(value) > (most := schema.get("maxLength", len(value))):
        problems.append(Problem(path, f"Too long: may not be more than {most} bytes"))


def _matches(pattern: str, value: str) -> bool:
    # In Go, and so in CRDs, `$` is the very end; in Python it also stands before a last line break.
    return re.search(re.sub(r"\$$", r"\\Z", pattern), value) is not None


def _number(schema: Schema, value: float, path: str, problems: list[Problem]) -> None:
    least = schema.get("minimum", value)
    exclusive = schema.get("exclusiveMinimum", False)
    if value < least or (exclusive and value == least):
        words = "greater than" if exclusive else "greater than or equal to"
        message = f"Invalid value: {value}: {path} in body should be {words} {least}"
        problems.append(Problem(path, message))
    if value > (most := schema.get("maximum", value)):
        message = f"Invalid value: {value}: {path} in body should be less than or equal to {most}"
        problems.append(Problem(path, message))


_INSIDE: Mapping[str, Callable[[Schema, Any, str, list[Problem]], None]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
    "number": _number,
}
