"""How many requests go to the API server at a time and per second, shared fairly between keys. No I/O."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """``slots`` requests at a time, ``rate`` per second with bursts of one second's worth.

    Who waits is served in turn by key, so that the thousandth request of one key never stands
    before the first of another.
    """

    slots: int = 32
    rate: float = 1000.0
    is_open: Callable[[], bool] = lambda: True
    """Who may not write gets no slot."""
    _used: int = 0
    _tokens: float | None = None
    _refilled: float = 0.0
    _closed_until: float = 0.0
    _waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = field(default_factory=OrderedDict)
    _timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def slot(self, key: Hashable) -> AsyncIterator[None]:
        """Hold one of the slots."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise
        try:
            yield
        finally:
            self._release()

    def pause(self, seconds: float) -> None:
        """Start nothing for so long: the API server asked for it."""
        self._closed_until = max(self._closed_until, asyncio.get_running_loop().time() + seconds)

    def _release(self) -> None:
        self._used -= 1
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._used < self.slots and self.is_open():
            wait = self._wait()
            if wait > 0:
                if self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(wait, self._serve_later)
                return
            key, turns = next(iter(self._waiting.items()))
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(key)
            else:
                del self._waiting[key]
            if turn.cancelled():
                continue
            self._used += 1
            self._tokens = (self._tokens or 0.0) - 1.0
            turn.set_result(None)

    def _serve_later(self) -> None:
        self._timer = None
        self._serve()

    def _wait(self) -> float:
        """Return the seconds until the next request may start."""
        now = asyncio.get_running_loop().time()
        tokens = self.rate if self._tokens is None else self._tokens + (now - self._refilled) * self.rate
        self._tokens, self._refilled = min(tokens, self.rate), now
        return max(self._closed_until - now, (1.0 - self._tokens) / self.rate)
