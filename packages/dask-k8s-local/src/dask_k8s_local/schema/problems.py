"""Problems of fields, like apimachinery's `field.Error`: values that render Kubernetes' messages.

Validates nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_TITLES = {
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
    """A problem of a field; `reason` is the reason of the cause in a Status."""

    reason: str
    field: str
    value: Any = None
    detail: str = ""

    @property
    def body(self) -> str:
        """Return the message without the field."""
        message = _TITLES[self.reason]
        if self.reason not in _VALUELESS:
            message += f": {json.dumps(self.value, ensure_ascii=False, separators=(',', ':'))}"
        return f"{message}: {self.detail}" if self.detail else message

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"

    def under(self, path: str) -> "Problem":
        """Return the same problem with its field below `path`."""
        joint = "" if self.field.startswith("[") or not self.field else "."
        return Problem(self.reason, f"{path}{joint}{self.field}", self.value, self.detail)


def required(field: str, detail: str = "") -> Problem:
    """Return the problem of a missing value."""
    return Problem("FieldValueRequired", field, None, detail)


def invalid(field: str, value: Any, detail: str) -> Problem:
    """Return the problem of an invalid value."""
    return Problem("FieldValueInvalid", field, value, detail)


def wrong_type(field: str, found: str, expected: str) -> Problem:
    """Return the problem of a value with the wrong JSON type."""
    detail = f'{field + " in body" if field else " in body"} must be of type {expected}: "{found}"'
    return Problem("FieldValueTypeInvalid", field or "<nil>", found, detail)


def not_supported(field: str, value: Any, supported: Iterable[Any]) -> Problem:
    """Return the problem of an unsupported value."""
    names = (item if isinstance(item, str) else json.dumps(item, separators=(",", ":")) for item in supported)
    detail = "supported values: " + ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
    return Problem("FieldValueNotSupported", field, value, detail)


def duplicate(field: str, value: Any) -> Problem:
    """Return the problem of a duplicate value."""
    return Problem("FieldValueDuplicate", field, value)


def forbidden(field: str, detail: str) -> Problem:
    """Return the problem of a value that must not be set or changed."""
    return Problem("FieldValueForbidden", field, None, detail)


def not_found(field: str, value: Any) -> Problem:
    """Return the problem of a reference to something that does not exist."""
    return Problem("FieldValueNotFound", field, value)


def too_long(field: str, limit: int) -> Problem:
    """Return the problem of a value that is too long."""
    return Problem("FieldValueTooLong", field, None, f"may not be more than {limit} byte{'s' * (limit != 1)}")


def too_many(field: str, count: int, limit: int) -> Problem:
    """Return the problem of a list with too many items."""
    return Problem("FieldValueTooMany", field, count, f"must have at most {limit} item{'s' * (limit != 1)}")
