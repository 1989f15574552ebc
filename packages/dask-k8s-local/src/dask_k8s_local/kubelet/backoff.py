"""How long to wait before trying again: at once, then 10 s, doubling to 5 minutes, as a kubelet. Pure."""

from dataclasses import dataclass

_MAXIMUM = 300.0


@dataclass
class Backoff:
    """The history of one container or image."""

    first: float = 10.0
    _delay: float = 0.0
    _last: float = 0.0

    def next(self, now: float) -> float:
        """Return how long to wait after a failure at this time; after a long time without one, not at all."""
        forgotten = now - self._last > 2 * _MAXIMUM
        delay, self._last = 0.0 if forgotten else self._delay, now
        self._delay = min(2 * delay, _MAXIMUM) or self.first
        return delay


def written(seconds: float) -> str:
    """Write a duration as Go does: `10s`, `2m40s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
