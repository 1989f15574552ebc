"""Columns of a Table: their definition, ages, and JSON paths of custom columns.

Built-in kinds are in `printers`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]
Cell = Callable[[Object, datetime], Any]

_NAME = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources "
    "may allow a client to request the generation of an appropriate name automatically. Name is primarily "
    "intended for creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_CREATED = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
    "guaranteed to be set in happens-before order across separate operations. Clients may not set this "
    "value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null "
    "for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
_STEP = re.compile(
    r"""\.?(?:
        ((?:\\.|[^.\[\]\\])+)                                  # .name
      | \[\s*'([^']*)'\s*\] | \[\s*"([^"]*)"\s*\]                # ['name']
      | \[(-?\d+|\*)\]                                         # [0], [*]
      | \[\?\(\s*@\.([\w.-]+)\s*==\s*["']([^"']*)["']\s*\)\]   # [?(@.type=="Ready")]
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Column:
    """A column that `kubectl get` prints."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    description: str = ""
    wide: bool = False


def definitions(found: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Return `columnDefinitions`."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": int(column.wide),
        }
        for column in found
    ]


def now() -> datetime:
    """Return the time from which ages are calculated."""
    return datetime.now(UTC)


def since(text: str | None, at: datetime) -> str:
    """Return the time since a timestamp, as text."""
    if not text:
        return "<unknown>"
    try:
        return duration(int((at - datetime.fromisoformat(text)).total_seconds()))
    except (TypeError, ValueError):
        return "<invalid>"


def duration(seconds: int) -> str:
    """Format a duration as kubectl does: `47s`, `2m5s`, `3h`, `5d12h`."""
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    for below, whole, unit, rest, rest_unit in (
        (seconds < 120, seconds, "s", 0, ""),
        (minutes < 10, minutes, "m", seconds % 60, "s"),
        (minutes < 180, minutes, "m", 0, ""),
        (hours < 8, hours, "h", minutes % 60, "m"),
        (hours < 48, hours, "h", 0, ""),
        (hours < 192, days, "d", hours % 24, "h"),
        (days < 730, days, "d", 0, ""),
        (days < 2920, days // 365, "y", days % 365, "d"),
    ):
        if below:
            return f"{whole}{unit}" + (f"{rest}{rest_unit}" if rest else "")
    return f"{days // 365}y"


def path(text: str) -> Callable[[Object], list[Any]]:
    """Compile a simple JSONPath to a function that returns all matches."""
    steps = [_step(*match.groups()) for match in _STEP.finditer(text.strip("{}").removeprefix("$"))]

    def find(obj: Object) -> list[Any]:
        found: list[Any] = [obj]
        for step in steps:
            found = [item for value in found for item in step(value)]
        return found

    return find


def _step(*parts: str | None) -> Callable[[Any], list[Any]]:
    """Return a function for one step of a path; exactly one alternative of `_STEP` has matched."""
    plain, single, double, index, key, expected = parts
    if index is not None:
        at = slice(None) if index == "*" else slice(int(index), int(index) + 1 or None)
        return lambda value: value[at] if isinstance(value, list) else []
    if key is not None:
        return lambda value: _where(value, key, expected or "")
    name = (plain or "").replace("\\", "") or single or double or ""
    return lambda value: [value[name]] if isinstance(value, Mapping) and name in value else []


def _where(value: Any, key: str, expected: str) -> list[Any]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping) and str(item.get(key)) == expected]


def custom(column: Mapping[str, Any]) -> Column:
    """Return a column of `additionalPrinterColumns`."""
    find = path(column["jsonPath"])
    kind = column.get("type", "string")

    def cell(obj: Object, at: datetime) -> Any:
        found = find(obj)
        if not found or found[0] is None:
            return None
        if kind == "date":
            return since(str(found[0]), at)
        if kind == "string":
            return found[0] if isinstance(found[0], str) else str(found[0])
        return found[0]

    return Column(
        column["name"],
        cell,
        kind,
        column.get("format", ""),
        column.get("description")
        or f"CustomResources resource definition column (in JSONPath format): {column['jsonPath']}",
        wide=bool(column.get("priority")),
    )


NAME = Column("Name", lambda obj, _: obj["metadata"]["name"], format="name", description=_NAME)
AGE = Column("Age", lambda obj, at: since(obj["metadata"].get("creationTimestamp"), at), description=_CREATED)
AGE_ONLY: tuple[Mapping[str, Any], ...] = (
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": _CREATED},
)
