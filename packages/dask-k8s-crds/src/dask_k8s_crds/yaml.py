"""Write JSON values as YAML for `kubectl apply -f -`, without PyYAML. Nothing here reads YAML."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""Plain scalars that YAML 1.1 or 1.2 does not read as strings."""


def documents(values: Sequence[Any]) -> str:
    """Return a YAML stream with one document for each value."""
    return "---\n".join("".join(f"{line}\n" for line in _lines(value)) for value in values)


def _lines(value: Any) -> Iterator[str]:
    match value:
        case Mapping() if value:
            for key, item in value.items():
                yield from _entry(f"{_scalar(key)}:", item)
        case list() | tuple() if value:
            for item in value:
                first, *rest = _lines(item)
                yield f"- {first}"
                yield from (f"  {line}" for line in rest)
        case _:
            yield _scalar(value)


def _entry(key: str, value: Any) -> Iterator[str]:
    if value and isinstance(value, Mapping | list | tuple):
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)  # JSON is YAML
