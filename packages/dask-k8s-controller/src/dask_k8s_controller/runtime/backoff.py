"""Exponential back-off, as a value. No I/O, no clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """The delay before a retry, in seconds; it doubles with each failure in a row, up to a limit."""

    first: float = 0.25
    longest: float = 30.0

    def delay(self, failures: int) -> float:
        """Return the delay after this many failures in a row."""
        return min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
