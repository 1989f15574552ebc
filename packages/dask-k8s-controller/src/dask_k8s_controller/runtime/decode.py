"""JSON of the API server as Python values, whatever one object among many contains. No I/O."""

import re
from typing import Any

import orjson

MAX_DEPTH = 500
"""Values nested more deeply are read as null. orjson refuses 1,024 levels; the API server stores 10,000."""
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]+|[\]}]+', re.DOTALL)


def decode(text: bytes) -> Any:
    """Return the value of a JSON text that may be nested too deeply for orjson.

    Raise `orjson.JSONDecodeError` if it is not JSON.
    """
    return orjson.loads(without_deep_values(text))


def without_deep_values(text: bytes) -> bytes:
    """Replace each array and object that is nested more than `MAX_DEPTH` levels deep by null."""
    parts, kept, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        opening = text[start : start + 1]
        if opening in b"[{":
            if depth <= MAX_DEPTH < depth + end - start:
                parts += [text[kept : start + MAX_DEPTH - depth], b"null"]
            depth += end - start
        elif opening in b"]}":
            if depth > MAX_DEPTH >= depth - (end - start):
                kept = start + depth - MAX_DEPTH
            depth -= end - start
    return b"".join(parts) + text[kept:] if parts and depth == 0 else text
