"""Delays between attempts, as in the kubelet: none, then 10 s, doubled up to 5 minutes. Does not sleep."""

from dataclasses import dataclass

_MAXIMUM = 300.0


@dataclass
class Backoff:
    """The delays of one container or image."""

    first: float = 10.0
    _delay: float = 0.0
    _last: float = 0.0

    def next(self, now: float) -> float:
        """Return the delay after a failure at this time; it is reset after a long time without failures."""
        forgotten = now - self._last > 2 * _MAXIMUM
        delay, self._last = 0.0 if forgotten else self._delay, now
        self._delay = min(2 * delay, _MAXIMUM) or self.first
        return delay


def format_duration(seconds: float) -> str:
    """Format a duration as Go does: `10s`, `2m40s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
