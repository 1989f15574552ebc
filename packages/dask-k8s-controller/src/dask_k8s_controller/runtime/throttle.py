"""Limits how many requests run at the same time and per second, shared fairly between keys. No I/O."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """At most ``slots`` requests at a time and ``rate`` per second, with bursts of up to one second's worth.

    Waiting keys take turns, one request each, so that a key with a thousand requests does not delay another
    key's first one.
    """

    slots: int = 32
    rate: float = 1000.0
    may_write: Callable[[], bool] = lambda: True
    """While this returns False, no request gets a slot."""
    _used: int = 0
    _tokens: float | None = None
    _refilled: float = 0.0
    _paused_until: float = 0.0
    _waiters: OrderedDict[Hashable, deque[asyncio.Future[None]]] = field(default_factory=OrderedDict)
    _timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def slot(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the context lasts."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, deque()).append(waiter)
        self._grant()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._release()
            raise
        try:
            yield
        finally:
            self._release()

    def pause(self, seconds: float) -> None:
        """Grant no slot for some seconds, because the API server asked for it."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def _release(self) -> None:
        self._used -= 1
        self._grant()

    def _grant(self) -> None:
        while self._waiters and self._used < self.slots and self.may_write():
            delay = self._delay()
            if delay > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)
                return
            key, waiters = next(iter(self._waiters.items()))
            waiter = waiters.popleft()
            if waiters:
                self._waiters.move_to_end(key)
            else:
                del self._waiters[key]
            if waiter.cancelled():
                continue
            self._used += 1
            self._tokens = (self._tokens or 0.0) - 1.0
            waiter.set_result(None)

    def _on_timer(self) -> None:
        self._timer = None
        self._grant()

    def _delay(self) -> float:
        """Return the seconds until the next request may start."""
        now = asyncio.get_running_loop().time()
        tokens = self.rate if self._tokens is None else self._tokens + (now - self._refilled) * self.rate
        self._tokens, self._refilled = min(tokens, self.rate), now
        return max(self._paused_until - now, (1.0 - self._tokens) / self.rate)
