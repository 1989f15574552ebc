"""The clock that decisions read, passed in so that a test can use another one. Timers are asyncio's own."""

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
