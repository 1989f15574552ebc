"""Delays before restarts of what keeps failing: containers by the kubelet, workers by us. Pure."""

FIRST_SECONDS = 10.0
"""The delay before the first restart; it doubles with each failure in a row."""
LONGEST_SECONDS = 300.0
"""The longest delay. The kubelet restarts containers with these delays, and we replace failed workers so."""
_DOUBLINGS = 5
"""After so many failures the delay is the longest one."""


def delay(failures: int) -> float:
    """Return the seconds before a restart that comes after this many earlier failures in a row."""
    return min(FIRST_SECONDS * 2.0 ** min(failures, _DOUBLINGS), LONGEST_SECONDS)


def total_delay(failures: int) -> float:
    """Return the sum of the delays after this many failures in a row, but not much more than the longest."""
    return sum(delay(number) for number in range(min(failures, _DOUBLINGS)))
