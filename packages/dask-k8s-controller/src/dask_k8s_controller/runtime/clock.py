"""The clock that decisions read, passed in so that a test can use another one.

Contains no timers: timers are asyncio's own and follow the event loop.
"""

import asyncio
from datetime import UTC, datetime


class Clock:
    """The time of day of the machine, and the monotonic clock of the running event loop."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the time of the event loop in seconds, comparable with the times of its timers."""
        return asyncio.get_running_loop().time()
