"""Waiting: how long until the next attempt, and for how long in all. No I/O."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

RETRY_SECONDS = 0.2
"""Seconds between attempts to reach something that users are waiting for, such as a scheduler."""


def backoff(first: float = 0.1, limit: float = 5.0) -> Iterator[float]:
    """Yield the seconds to wait before each attempt in turn: doubled every time, up to a limit."""
    delay = first
    while True:
        yield delay
        delay = min(2 * delay, limit)


@asynccontextmanager
async def time_limit(seconds: float | None, message: str) -> AsyncIterator[None]:
    """Raise a TimeoutError with a message for users if the block takes longer; None means no limit."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TimeoutError(message) from None
