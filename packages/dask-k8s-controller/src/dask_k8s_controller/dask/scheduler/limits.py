"""Limits of answers from schedulers, and the types of fields that keep to them. No I/O.

Reading takes time and memory in proportion to an answer that fits its limits: elements are counted before
anything is parsed, and the first fault ends the reading, since pydantic would collect them all.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import Field, PlainValidator

LARGEST_ANSWER = 2**22
"""In bytes."""
LARGEST_NUMBER = 10**18
KINDS = 100
"""How many kinds of workers, and how many kinds of tasks, which differ in their Dask resources."""
RESOURCES = 32
"""How many Dask resources a worker offers or a task requires."""
RESOURCE_NAME = 64
"""In characters, as the following lengths."""
GROUPS = 1000
"""How many worker groups."""
GROUP_NAME = 63
POD_NAME = 253
REASON = 1000
SHORT = 100
"""The length of text from a scheduler in a message."""

V = TypeVar("V")

Amount = Annotated[float, Field(ge=0, le=LARGEST_NUMBER, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]


def parse(body: bytes, limit: int) -> Any:
    """Parse JSON; raise ``ValueError`` if it is invalid or may have more elements than the limit.

    The elements are counted before anything is parsed: each is the first after a bracket or follows a comma.
    """
    count = body.count(b",") + body.count(b"[") + body.count(b"{")
    if count > limit:
        raise ValueError(f"the answer: about {count} elements, and {limit} are the limit")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the answer: invalid JSON: {shorten(str(error))}") from None


def shorten(text: str, limit: int = SHORT) -> str:
    """Return text from a scheduler for a message: one line of limited length, without control characters."""
    if len(text) > limit:
        text = f"{text[:limit]}…"
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text])


def sequence(limit: int) -> Any:
    """Return the settings of a field that is a sequence: it ends with its first invalid element."""
    return Field(strict=False, fail_fast=True, max_length=limit)  # JSON has lists, and fields are tuples


def each(limit: int, read: Callable[[object], V]) -> PlainValidator:
    """Return a validator of lists of what ``read`` returns; for many elements it is faster than models."""

    def check(value: object) -> tuple[V, ...]:
        if not isinstance(value, list):
            raise ValueError("not a list")  # noqa: TRY004  # pydantic expects this error
        if len(value) > limit:
            raise ValueError(f"{len(value)} elements, and {limit} are the limit")
        found = []
        for place, element in enumerate(value):
            try:
                found.append(read(element))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
        return tuple(found)

    return PlainValidator(check)


def _mapping(limit: int, longest_key: int, read: Callable[[object], V]) -> PlainValidator:
    """Return a validator of mappings from strings of limited length to what ``read`` returns."""

    def check(value: object) -> dict[str, V]:
        if not isinstance(value, Mapping):
            raise ValueError("not an object")  # noqa: TRY004  # pydantic expects this error
        if len(value) > limit:
            raise ValueError(f"{len(value)} entries, and {limit} are the limit")
        found = {}
        for key, entry in value.items():
            if len(key) > longest_key:
                name = shorten(json.dumps(key[: 2 * SHORT], ensure_ascii=False))
                raise ValueError(f"{name}: a name of {len(key)} characters, and {longest_key} are the limit")
            try:
                found[key] = read(entry)
            except ValueError as error:
                raise ValueError(f"{shorten(key)}: {error}") from None
        return found

    return PlainValidator(check)


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"not a number from 0 to {LARGEST_NUMBER:.0e}")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"not a whole number from 0 to {LARGEST_NUMBER:.0e}")
    return value


def _reason(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004  # pydantic expects this error
    return shorten(value, REASON)


Resources = Annotated[Mapping[str, float], _mapping(RESOURCES, RESOURCE_NAME, _amount)]
"""Amounts of Dask resources by name."""
Counts = Annotated[Mapping[str, int], _mapping(GROUPS, GROUP_NAME, _count)]
"""Numbers by worker group."""
PodReasons = Annotated[Mapping[str, str], _mapping(LARGEST_ANSWER, POD_NAME, _reason)]
"""Reasons by pod; their number is limited by that of the elements of the answer."""
PodTimes = Annotated[Mapping[str, float], _mapping(LARGEST_ANSWER, POD_NAME, _amount)]
"""Seconds by pod; their number is limited by that of the elements of the answer."""
PodNames = Annotated[frozenset[Annotated[str, Field(max_length=POD_NAME)]], sequence(LARGEST_ANSWER)]
"""Names of pods; their number is limited by that of the elements of the answer."""
