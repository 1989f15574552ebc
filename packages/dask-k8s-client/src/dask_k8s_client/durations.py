"""Durations as people write them, in seconds: 90, "90 s", "1.5 minutes", a timedelta."""

import math
from datetime import timedelta

from dask.utils import parse_timedelta

Duration = float | str | timedelta


def seconds(what: str, duration: Duration) -> float:
    """A duration as a number; `what` is the argument that it came by."""
    try:
        number = float(parse_timedelta(duration, "seconds"))
    except (KeyError, TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{what}: must be a duration, such as 90 or '90 s', not {duration!r}")
    return number


def whole_seconds(what: str, duration: Duration) -> int:
    """As Kubernetes counts them; rounded up, so that a short time does not become none."""
    return math.ceil(seconds(what, duration))
