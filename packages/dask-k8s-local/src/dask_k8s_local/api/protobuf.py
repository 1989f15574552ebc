"""Decodes the protobuf bodies that kubectl and Helm send for built-in kinds.

There is no encoder, because these clients accept JSON responses. The messages are defined in
`protobuf_messages`.
"""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from dask_k8s_local.api.protobuf_messages import KINDS, MESSAGES, Field

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


class CannotDecode(ValueError):
    """The body is not valid protobuf (400), or its kind is not supported (415)."""

    def __init__(self, message: str, *, supported: bool = True) -> None:
        super().__init__(message)
        self.supported = supported


def decode(body: bytes) -> dict[str, Any]:
    """Return the object in a request's body, with `apiVersion` and `kind`; raises CannotDecode."""
    if not body.startswith(_MAGIC):
        raise CannotDecode("provided data does not appear to be a protobuf message, expected prefix k8s")
    try:
        return _object(body[len(_MAGIC) :])
    except CannotDecode:
        raise
    except (IndexError, TypeError, ValueError, OverflowError, OSError) as error:
        raise CannotDecode(f"proto: {error}") from None


def _object(data: bytes) -> dict[str, Any]:
    envelope = _message("Unknown", data)
    type_meta = envelope.get("typeMeta", {})
    api_version, kind = type_meta.get("apiVersion", ""), type_meta.get("kind", "")
    if KINDS.get(kind) not in {api_version, "*"}:
        raise CannotDecode(f'{kind} in version "{api_version}" is read as JSON only', supported=False)
    return {"apiVersion": api_version, "kind": kind, **_message(kind, envelope.get("raw", b""))}


def _message(name: str, data: bytes) -> dict[str, Any]:
    """Decode a message and skip unknown fields, as an older API server does."""
    found: dict[str, Any] = {}
    fields = MESSAGES[name]
    for number, raw in _wire(data):
        if field := fields.get(number):
            value = _value(field, raw)
            if field.shape == "list":
                found.setdefault(field.name, []).append(value)
            elif field.shape == "map":
                found.setdefault(field.name, {}).update(value)
            elif field.is_pointer or value not in _EMPTY:
                found[field.name] = value
    return found


_EMPTY: tuple[Any, ...] = ("", 0, None, {}, b"")
"""Values that protobuf contains and JSON leaves out."""


def _value(field: Field, raw: int | bytes) -> Any:
    if field.shape != "map":
        return _single(field.type, raw)
    entry = dict(_wire(_bytes(raw)))
    empty = 0 if field.type in _NUMBERS else b""
    return {_single("string", entry.get(1, b"")): _single(field.type, entry.get(2, empty))}


def _single(name: str, raw: int | bytes) -> Any:
    if name in _NUMBERS:
        return _NUMBERS[name](_number(raw))
    if name in MESSAGES:
        return _JSON.get(name, dict)(_message(name, _bytes(raw)))
    return _TEXTS[name](_bytes(raw))


def _number(raw: int | bytes) -> int:
    if isinstance(raw, int):
        return raw
    raise TypeError(f"wrong wireType {_BYTES}")


def _bytes(raw: int | bytes) -> bytes:
    if isinstance(raw, bytes):
        return raw
    raise TypeError(f"wrong wireType {_VARINT}")


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _time(fields: dict[str, Any]) -> str | None:
    if not fields:
        return None
    return datetime.fromtimestamp(fields.get("seconds", 0), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_NUMBERS: dict[str, Callable[[int], int]] = {"int": _signed, "bool": bool}
_TEXTS: dict[str, Callable[[bytes], Any]] = {
    "string": bytes.decode,
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "bytes": bytes,
}
_JSON: dict[str, Callable[[dict[str, Any]], Any]] = {
    "Time": _time,
    "Quantity": lambda fields: fields.get("string", "0"),
    "IntOrString": lambda fields: fields.get("strVal", "") if fields.get("type") else fields.get("intVal", 0),
    "FieldsV1": lambda fields: orjson.loads(fields.get("Raw", b"{}")),
}
"""Messages that are not objects in JSON."""


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire_type = key & 7
        if wire_type == _VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire_type == _BYTES:
            length, at = _varint(data, at)
        elif wire_type in _FIXED:
            length = _FIXED[wire_type]
        else:
            raise TypeError(f"illegal wireType {wire_type}")
        if at + length > len(data):
            raise IndexError("unexpected EOF")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise ValueError("integer overflow")
