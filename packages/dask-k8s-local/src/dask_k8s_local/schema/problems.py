"""What is wrong with a field, in the API server's message (apimachinery's `field.Error`)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_WORDS = {
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotFound": "Not found",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueRequired": "Required value",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTypeInvalid": "Invalid value",
}
_VALUELESS = frozenset({"FieldValueForbidden", "FieldValueRequired", "FieldValueTooLong"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One field, what is wrong with it, and the value that is; `reason` is the cause's in a Status."""

    reason: str
    field: str
    value: Any = None
    detail: str = ""

    @property
    def body(self) -> str:
        """Return the message without the field."""
        message = _WORDS[self.reason]
        if self.reason not in _VALUELESS:
            message += f": {json.dumps(self.value, ensure_ascii=False, separators=(',', ':'))}"
        return f"{message}: {self.detail}" if self.detail else message

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"

    def under(self, path: str) -> "Problem":
        """Return the same problem of a field of the field at `path`."""
        joint = "" if self.field.startswith("[") or not self.field else "."
        return Problem(self.reason, f"{path}{joint}{self.field}", self.value, self.detail)


def required(field: str, detail: str = "") -> Problem:
    """Say that a value is missing."""
    return Problem("FieldValueRequired", field, None, detail)


def invalid(field: str, value: Any, detail: str) -> Problem:
    """Say why a value is refused."""
    return Problem("FieldValueInvalid", field, value, detail)


def wrong_type(field: str, found: str, expected: str) -> Problem:
    """Say that a value has another JSON type than the schema."""
    detail = f'{field + " in body" if field else " in body"} must be of type {expected}: "{found}"'
    return Problem("FieldValueTypeInvalid", field or "<nil>", found, detail)


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> Problem:
    """Say which values there are."""
    names = (item if isinstance(item, str) else json.dumps(item, separators=(",", ":")) for item in supported)
    detail = "supported values: " + ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
    return Problem("FieldValueNotSupported", field, value, detail)


def duplicate(field: str, value: Any) -> Problem:
    """Say that a value stands there twice."""
    return Problem("FieldValueDuplicate", field, value)


def forbidden(field: str, detail: str) -> Problem:
    """Say that a value may not be set, or changed, now."""
    return Problem("FieldValueForbidden", field, None, detail)


def not_found(field: str, value: Any) -> Problem:
    """Say that what a value refers to is not there."""
    return Problem("FieldValueNotFound", field, value)


def too_long(field: str, limit: int) -> Problem:
    """Say how long a value may be."""
    return Problem("FieldValueTooLong", field, None, f"may not be more than {limit} byte{'s' * (limit != 1)}")


def too_many(field: str, count: int, limit: int) -> Problem:
    """Say how many values there may be."""
    return Problem("FieldValueTooMany", field, count, f"must have at most {limit} item{'s' * (limit != 1)}")
