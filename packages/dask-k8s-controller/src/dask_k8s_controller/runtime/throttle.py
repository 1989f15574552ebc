"""Limits how many requests run at a time and per second, shared fairly by namespace and key. No I/O."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dask_k8s_controller.runtime.fair_queue import FairQueue
from dask_k8s_controller.runtime.objects import Key


@dataclass(slots=True)
class Throttle:
    """At most ``slots`` requests at a time and ``rate`` per second, with bursts of up to one second's worth.

    Namespaces that wait take turns, one request each, and so do the keys of a namespace, so that a key with a
    thousand requests does not delay another key's first one.
    """

    slots: int = 32
    rate: float = 1000.0
    last_end: float = 0.0
    """When a request last ended, whatever came of it."""
    _used: int = 0
    _tokens: float | None = None
    _refilled: float = 0.0
    _paused_until: float = 0.0
    _waiters: FairQueue[asyncio.Future[None]] = field(default_factory=FairQueue)
    _timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def slot(self, key: Key) -> AsyncIterator[None]:
        """Wait for a slot, and hold it while the context lasts."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.put(waiter, key.namespace, key)
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
            self.last_end = asyncio.get_running_loop().time()
            self._release()

    def pause(self, seconds: float) -> None:
        """Grant no slot for some seconds, because the API server asked for it."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def _release(self) -> None:
        self._used -= 1
        self._grant()

    def _grant(self) -> None:
        while self._waiters and self._used < self.slots:
            delay = self._delay()
            if delay > 0:
                if self._timer is None:
                    # Event loops measure time in milliseconds at best.
                    self._timer = asyncio.get_running_loop().call_later(max(delay, 0.001), self._on_timer)
                return
            waiter = self._waiters.pop()
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
