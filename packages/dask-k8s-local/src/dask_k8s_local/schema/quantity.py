"""Quantities such as `100m`, `1Gi` and `5e3`: their value and canonical format."""

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_NANO = Decimal("1e-9")

ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(maxsize=4096)
def parse(text: str) -> Decimal:
    """Return the value of a quantity; raises ValueError with Kubernetes' message."""
    number, suffix = _split(text)
    if suffix in _BINARY:
        value = number * Decimal(1024 ** _BINARY[suffix])
    elif suffix in _DECIMAL:
        value = number.scaleb(3 * _DECIMAL[suffix])
    else:
        value = number.scaleb(int(suffix[1:]))
    return value.quantize(_NANO, rounding=ROUND_CEILING) if value % _NANO else value


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the canonical format of a quantity: `0.5` is `500m`, `1024Mi` is `1Gi`."""
    return write(parse(text), like=text)


def write(value: Decimal, *, like: str = "") -> str:
    """Format a value in the format (binary, decimal or exponent) of another quantity."""
    _, suffix = _split(like or "0")
    if suffix in _BINARY and (abs(value) >= 1024 or not value) and value == int(value):
        return _scaled(int(value), 1024, ["", *_BINARY])
    if suffix[:1] in {"e", "E"} and suffix not in _DECIMAL:
        exponents = [f"e{3 * power}" if power else "" for power in range(-3, 7)]
        return _scaled(int(value / _NANO), 1000, exponents)
    return _scaled(int(value / _NANO), 1000, list(_DECIMAL))


def _scaled(value: int, base: int, suffixes: list[str]) -> str:
    power = 0
    while value and value % base == 0 and power < len(suffixes) - 1:
        value //= base
        power += 1
    return f"{value}{suffixes[power]}" if value else "0"


def _split(text: str) -> tuple[Decimal, str]:
    match = _FORM.fullmatch(text)
    if not match:
        raise ValueError(ERROR)
    return Decimal(match[1]), match[2] or ""
