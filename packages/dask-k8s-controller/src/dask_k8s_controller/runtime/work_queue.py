"""Keys that want a reconcile: merged, one at a time per key, first come first served, with back-off and pace.

No I/O; time is the clock of the event loop.
"""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two turns of one key, the first back-off after a failure, and the longest."""

    gap: float = 0.1
    first_backoff: float = 0.25
    longest_backoff: float = 30.0

    def backoff(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row."""
        return min(self.first_backoff * 2.0 ** min(failures - 1, 30), self.longest_backoff)


@dataclass(slots=True)
class WorkQueue(Generic[K]):
    """A queue in which a key stands once, however often it is put.

    A key that is being worked on is never handed out a second time; what was put meanwhile
    comes after `done`.
    """

    pace: Pace = field(default_factory=Pace)
    _ready: dict[K, float] = field(default_factory=dict)
    """Keys in the order of their turn, with the time since when they wait."""
    _active: dict[K, float] = field(default_factory=dict)
    """Keys that are being worked on, with the time of their start."""
    _put_again: set[K] = field(default_factory=set)
    _later: dict[K, asyncio.TimerHandle] = field(default_factory=dict)
    _earliest: dict[K, float] = field(default_factory=dict)
    _failures: dict[K, int] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, key: K) -> None:
        """Ask for a turn as soon as the pace allows it."""
        if key in self._active:
            self._put_again.add(key)
        elif key not in self._ready:
            wait = self._earliest.get(key, 0.0) - _now()
            if wait > 0:
                self.put_after(key, wait)
            else:
                self._hand_out(key)

    def put_after(self, key: K, seconds: float) -> None:
        """Ask for a turn in so many seconds, unless one comes earlier."""
        if key in self._ready:
            return
        when = _now() + seconds
        handle = self._later.get(key)
        if handle is not None:
            if handle.when() <= when:
                return
            handle.cancel()
        self._later[key] = asyncio.get_running_loop().call_at(when, self._timer, key)

    async def get(self) -> K:
        """Wait for a key whose turn it is; it stays out of the queue until `done`."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._ready))
        del self._ready[key]
        self._active[key] = _now()
        return key

    def done(self, key: K, *, again_after: float | None = None) -> None:
        """End a turn that went well; ``again_after`` seconds it wants another, None: only when put."""
        self._failures.pop(key, None)
        self._end_turn(key)
        if again_after is not None:
            self.put_after(key, again_after)

    def failed(self, key: K, *, at_least: float = 0.0) -> float:
        """End a turn that failed, and return the seconds until the next, ``at_least`` so many.

        What was put meanwhile waits too: a failure is not mended by trying at once.
        """
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        wait = max(self.pace.backoff(failures), at_least)
        self._put_again.discard(key)
        self._end_turn(key)
        self.put_after(key, wait)
        return wait

    def forget(self, key: K) -> None:
        """Drop what is remembered of a key whose object is gone."""
        self._failures.pop(key, None)
        self._earliest.pop(key, None)
        if (handle := self._later.pop(key, None)) is not None:
            handle.cancel()

    def longest_wait(self) -> float:
        """Return for how many seconds the first key waits for its turn, or the longest turn lasts."""
        since = min((*self._ready.values(), *self._active.values()), default=_now())
        return _now() - since

    def waiting(self) -> list[K]:
        """Return the keys that wait for their turn now, the first first."""
        return list(self._ready)

    def _timer(self, key: K) -> None:
        self._later.pop(key, None)
        if key in self._active:
            self._put_again.add(key)
        else:
            self._hand_out(key)

    def _hand_out(self, key: K) -> None:
        if (handle := self._later.pop(key, None)) is not None:
            handle.cancel()
        self._ready.setdefault(key, _now())
        self._wake.set()

    def _end_turn(self, key: K) -> None:
        del self._active[key]
        self._earliest[key] = _now() + self.pace.gap
        asyncio.get_running_loop().call_later(self.pace.gap, self._earliest.pop, key, None)
        if key in self._put_again:
            self._put_again.discard(key)
            self.put(key)


def _now() -> float:
    return asyncio.get_running_loop().time()
