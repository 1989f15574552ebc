"""Kubernetes' CEL functions for strings, lists, quantities and addresses."""

import ipaddress
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import re2  # type: ignore[import-untyped]  # google-re2 has none
from celpy import celtypes

from dask_k8s_local.schema import quantity

Bool, Double, Int, List, Text = (
    celtypes.BoolType,
    celtypes.DoubleType,
    celtypes.IntType,
    celtypes.ListType,
    celtypes.StringType,
)


class Quantity:
    """A quantity as a CEL value."""

    def __init__(self, value: Decimal) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def _parses(parse: Callable[[str], object]) -> Callable[[str], Any]:
    def check(text: str) -> Any:
        try:
            parse(str(text))
        except ValueError:
            return Bool(source=False)
        return Bool(source=True)

    return check


def _split(text: str, separator: str, limit: int = -1) -> Any:
    if limit == 0:
        return List([])
    parts = text.split(separator, limit - 1 if limit > 0 else -1) if separator else list(text)
    return List([Text(part) for part in parts])


def _substring(text: str, start: int, end: int | None = None) -> Any:
    return Text(text[start:end])


def _replace(text: str, old: str, new: str, limit: int = -1) -> Any:
    return Text(text.replace(old, new, limit))


def _find(text: str, pattern: str) -> Any:
    match = re2.search(pattern, text)
    return Text(match[0] if match else "")


def _find_all(text: str, pattern: str, limit: int = -1) -> Any:
    found = [Text(match[0]) for match in re2.finditer(pattern, text)]
    return List(found if limit < 0 else found[:limit])


def _index_of(value: Any, item: Any) -> Any:
    return (
        Int(value.find(item))
        if isinstance(value, str)
        else Int(next((i for i, x in enumerate(value) if x == item), -1))
    )


def _last_index_of(value: Any, item: Any) -> Any:
    if isinstance(value, str):
        return Int(value.rfind(item))
    return Int(next((i for i in range(len(value) - 1, -1, -1) if value[i] == item), -1))


def _is_sorted(items: Any) -> Any:
    return Bool(all(one <= other for one, other in pairwise(items)))


def _sum(items: Any) -> Any:
    total = items[0] if items else Int(0)
    for item in items[1:]:
        total = total + item
    return total


def _compare(one: Quantity, other: Quantity) -> Any:
    return Int((one.value > other.value) - (one.value < other.value))


def _number(other: Any) -> Decimal:
    return other.value if isinstance(other, Quantity) else Decimal(int(other))


FUNCTIONS: dict[str, Any] = {
    # strings
    "charAt": lambda text, at: Text(text[at : at + 1]),
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "join": lambda items, separator="": Text(separator.join(items)),
    "lowerAscii": lambda text: Text("".join(char.lower() if char.isascii() else char for char in text)),
    "upperAscii": lambda text: Text("".join(char.upper() if char.isascii() else char for char in text)),
    "replace": _replace,
    "split": _split,
    "substring": _substring,
    "trim": lambda text: Text(text.strip()),
    "find": _find,
    "findAll": _find_all,
    # lists
    "isSorted": _is_sorted,
    "sum": _sum,
    "min": min,
    "max": max,
    # quantities
    "isQuantity": _parses(quantity.parse),
    "quantity": lambda text: Quantity(quantity.parse(str(text))),
    "compareTo": _compare,
    "isGreaterThan": lambda one, other: Bool(one.value > other.value),
    "isLessThan": lambda one, other: Bool(one.value < other.value),
    "sign": lambda one: Int((one.value > 0) - (one.value < 0)),
    "add": lambda one, other: Quantity(one.value + _number(other)),
    "sub": lambda one, other: Quantity(one.value - _number(other)),
    "isInteger": lambda one: Bool(one.value == int(one.value)),
    "asInteger": lambda one: Int(int(one.value)),
    "asApproximateFloat": lambda one: Double(float(one.value)),
    # addresses
    "isIP": _parses(ipaddress.ip_address),
    "isCIDR": _parses(ipaddress.ip_network),
    "isURL": _parses(urlsplit),
}
