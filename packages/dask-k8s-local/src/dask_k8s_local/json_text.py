"""JSON as the API server reads, stores and writes it: parts that are nested deeply stay text.

orjson reads 1,024 levels and writes 254; Kubernetes stores 10,000. Only fields without a schema can be nested
so deeply, and nothing looks into those.
"""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

_LEVELS_MAX = 10_000
_LEVELS_PARSED = 200
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class NestedJson:
    """An array or object that is nested too deeply to be parsed."""

    text: bytes


def loads(data: bytes) -> Any:
    """Parse JSON; raises json.JSONDecodeError."""
    if data.count(b"[") + data.count(b"{") <= _LEVELS_PARSED:
        return orjson.loads(data)
    shallow, parts = _cut(data)
    for part in parts.values():
        loads(part.text)  # raises if it is malformed
    return _with_parts(orjson.loads(shallow), parts) if parts else orjson.loads(data)


def dumps(value: Any, option: int = 0) -> bytes:
    """Format a value as JSON."""
    return orjson.dumps(value, _fragment, option | orjson.OPT_PASSTHROUGH_DATACLASS)


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, NestedJson):
        return orjson.Fragment(value.text)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _cut(data: bytes) -> tuple[bytes, dict[str, NestedJson]]:
    """Return the text with marks in place of deep parts, and the parts by their marks."""
    parts: dict[str, NestedJson] = {}
    mark = uuid.uuid4().hex
    rest, level, copied, begin = [], 0, 0, 0
    for token in _TOKEN.finditer(data):
        char = token[0][:1]
        if char in b"[{":
            level += 1
            if level == _LEVELS_PARSED + 1:
                begin = token.start()
            elif level > _LEVELS_MAX:
                raise json.JSONDecodeError("exceeded max depth", "", token.start())
        elif char in b"]}":
            level -= 1
            if level == _LEVELS_PARSED:
                key = f"{mark}-{len(parts)}"
                parts[key] = NestedJson(data[begin : token.end()])
                rest += [data[copied:begin], orjson.dumps(key)]
                copied = token.end()
    return b"".join((*rest, data[copied:])), parts


def _with_parts(value: Any, parts: dict[str, NestedJson]) -> Any:
    if isinstance(value, dict):
        return {key: _with_parts(item, parts) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_parts(item, parts) for item in value]
    return parts.get(value, value) if isinstance(value, str) else value
