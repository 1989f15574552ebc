"""The clock that decisions read, passed in so that a test can use another one. Timers are asyncio's own.

Clocks of machines differ, by hours if something is wrong. Decisions compare the present with times that the
API server wrote, such as ``creationTimestamp``, or that a controller wrote, which may have run on another
machine. So there is one time for all of them: that of the API server, which each of its responses names. It
advances with the monotonic clock of this process. Times that nodes or other controllers write are only shown.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SAMPLES = 5
"""How many responses count. Most of them have to agree: a proxy may put a wrong time into a response."""

MARGIN_SECONDS = 1e10
"""A time that is nearer to the end of the calendar than this is wrong, and cannot be computed with."""


class Clock:
    """The time of the API server, and the monotonic clock of the running event loop."""

    def __init__(self) -> None:
        self._offset: float | None = None
        """The time of the API server, in seconds since 1970, minus that of the monotonic clock."""
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        """Between which values the offset was when a response came."""

    def now(self) -> datetime:
        """Return the time of the API server, in UTC; until it has answered, that of this machine."""
        if self._offset is None:
            return self.machine_time()
        # To the millisecond, so that no wait that is computed from it is shorter than timers can measure.
        return datetime.fromtimestamp(round(self.monotonic() + self._offset, 3), UTC)

    def monotonic(self) -> float:
        """Return the time of the event loop in seconds, comparable with the times of its timers."""
        return asyncio.get_running_loop().time()

    def machine_time(self) -> datetime:
        """Return the time of day of this machine, in UTC."""
        return datetime.now(UTC)

    def observe(self, date: str | None, sent: float) -> None:
        """Learn from a response with this header ``Date`` to a request that was sent at this monotonic time.

        The header is exact to the second. As long as the responses allow it, the offset stays as it is; it
        begins with that of this machine, which counts as much as two responses.
        """
        try:
            server = parsedate_to_datetime(date or "").timestamp()
            datetime.fromtimestamp(server + MARGIN_SECONDS, UTC)
        except (ValueError, OverflowError):
            return
        if self._offset is None:
            self._offset = self.machine_time().timestamp() - self.monotonic()
            self._samples.extend([(self._offset, self._offset)] * 2)
        self._samples.append((server - self.monotonic(), server + 1.0 - sent))
        offset = self._offset
        estimates = sorted(min(max(offset, least), most) for least, most in self._samples)
        self._offset = estimates[len(estimates) // 2]
