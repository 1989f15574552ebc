"""The conditions of `kubectl wait`, as functions of an object. No I/O."""

import re
from collections.abc import Callable
from typing import Any

Condition = Callable[[dict[str, Any] | None], bool]
"""Whether an object is as a test waits for it; None stands for an object that does not exist."""

_STEPS = re.compile(
    r"""\.(?P<field>[\w-]+) | \[(?P<index>\d+)\] | \[\?\(@\.(?P<key>\w+)==["'](?P<value>[^"']*)["']\)\]""",
    re.VERBOSE,
)


def parse(condition: str) -> Condition:
    """Return the condition of `create`, `delete`, `condition=TYPE[=STATUS]` or `jsonpath={PATH}[=VALUE]`."""
    form, _, rest = condition.partition("=")
    if form == "create":
        return lambda found: found is not None
    if form == "delete":
        return lambda found: found is None
    if form == "condition":
        kind, _, status = rest.partition("=")
        return lambda found: found is not None and _has_condition(found, kind, status or "True")
    if form == "jsonpath" and rest.startswith("{"):
        path, _, value = rest[1:].partition("}")
        steps = _parse_path(path)
        expected = value.removeprefix("=") if value else None
        return lambda found: found is not None and _matches(_values(found, steps), expected)
    raise ValueError(f"{condition!r} is no condition that can be waited for")


def _has_condition(found: dict[str, Any], kind: str, status: str) -> bool:
    """As kubectl does, ignore what was observed of an older generation."""
    report = found.get("status", {})
    for each in report.get("conditions", ()):
        if each["type"].lower() == kind.lower():
            generation = found["metadata"].get("generation", 0)
            observed = each.get("observedGeneration", report.get("observedGeneration", generation))
            return observed >= generation and bool(each["status"].lower() == status.lower())
    return False


def _parse_path(path: str) -> list[re.Match[str]]:
    steps = list(_STEPS.finditer(path))
    if "".join(step[0] for step in steps) != path:
        raise ValueError(f"{path!r} is not a path of fields, indices and filters by equality")
    return steps


def _values(found: Any, steps: list[re.Match[str]]) -> list[Any]:
    values = [found]
    for step in steps:
        match step.groupdict():
            case {"field": str(name)}:
                values = [each[name] for each in values if isinstance(each, dict) and name in each]
            case {"index": str(index)}:
                values = [
                    each[int(index)] for each in values if isinstance(each, list) and len(each) > int(index)
                ]
            case {"key": key, "value": value}:
                values = [one for each in values for one in each if str(one.get(key)) == value]
    return values


def _matches(values: list[Any], expected: str | None) -> bool:
    if expected is None:
        return bool(values)
    return any(_text(value) == expected for value in values)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
