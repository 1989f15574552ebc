"""How long to wait before trying again. No I/O."""

from collections.abc import Iterator

RETRY_SECONDS = 0.2
"""Seconds between attempts to reach something that users are waiting for, such as a scheduler."""


def backoff(first: float = 0.1, limit: float = 5.0) -> Iterator[float]:
    """Yield the seconds to wait before each attempt in turn: doubled every time, up to a limit."""
    delay = first
    while True:
        yield delay
        delay = min(2 * delay, limit)
