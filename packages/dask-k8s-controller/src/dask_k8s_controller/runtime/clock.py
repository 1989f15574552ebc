"""The clock that decisions read, so that a test can pass in another one.

Contains no timers: timers are asyncio's own and follow the event loop.
"""

import asyncio
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day and measures durations."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back, comparable with the times of asyncio's timers."""


class SystemClock:
    """The time of day of the machine, and the monotonic clock of the running event loop."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the time of the event loop, in seconds."""
        return asyncio.get_running_loop().time()
