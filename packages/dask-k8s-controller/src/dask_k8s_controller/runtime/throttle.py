"""Limits how many requests run at a time and per second, and decides which is next. No I/O.

The order is that of their priorities. Within a priority, namespaces take turns, and in each its keys do.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import InitVar, dataclass, field
from enum import IntEnum

from dask_k8s_controller.runtime.adaptive_limit import AdaptiveLimit
from dask_k8s_controller.runtime.fair_queue import FairQueue
from dask_k8s_controller.runtime.objects import Key

SHARE = 10
"""A priority with a request that waits gets at least one of so many slots, whatever else waits."""
RESERVE = 4
"""One of so many slots more is for namespaces that have none."""


class Priority(IntEnum):
    """Which request is sent first, from the first to the last."""

    START = 0
    """Creates what a user's start waits for: any object that is not one of many equal ones."""
    CHANGE = 1
    """Changes or deletes an object."""
    CREATE = 2
    """Creates one of many equal objects, or an Event."""
    STATUS = 3
    """Reports what is."""


@dataclass(slots=True)
class _Waiter:
    key: Key
    priority: Priority
    turn: asyncio.Future[None]


@dataclass(slots=True)
class _Waiters:
    """Requests that wait, by priority and then by namespace and key."""

    queues: dict[Priority, FairQueue[_Waiter]] = field(
        default_factory=lambda: {priority: FairQueue() for priority in Priority}
    )
    count: Counter[str] = field(default_factory=Counter)
    """How many wait, by namespace."""
    without_slot: dict[str, None] = field(default_factory=dict)
    """The namespaces that wait and have no slot, in the order in which they began to."""
    _passed_over: Counter[Priority] = field(default_factory=Counter)
    """How many of the last slots went to others while a request of a priority waited."""

    def put(self, waiter: _Waiter) -> None:
        self.queues[waiter.priority].put(waiter, waiter.key.namespace, waiter.key)
        self.count[waiter.key.namespace] += 1

    def pop(self) -> _Waiter:
        """Remove and return the request whose turn it is."""
        waiting = [priority for priority in Priority if self.queues[priority]]
        due = [priority for priority in waiting if self._passed_over[priority] >= SHARE - 1]
        chosen = max(due, key=lambda priority: self._passed_over[priority]) if due else waiting[0]
        waiter = self.queues[chosen].pop()
        if not waiter.turn.cancelled():
            self._passed_over = Counter(
                {each: self._passed_over[each] + 1 for each in waiting if each is not chosen}
            )
        return self._popped(waiter)

    def pop_without_slot(self) -> _Waiter:
        """Remove and return the first request of the first namespace that has no slot."""
        namespace = next(iter(self.without_slot))
        queue = next(queue for queue in self.queues.values() if namespace in queue)
        return self._popped(queue.pop_from(namespace))

    def _popped(self, waiter: _Waiter) -> _Waiter:
        namespace = waiter.key.namespace
        self.count[namespace] -= 1
        if not self.count[namespace]:
            del self.count[namespace]
        if not waiter.turn.cancelled() or not self.count[namespace]:
            self.without_slot.pop(namespace, None)
        return waiter


@dataclass(slots=True)
class Throttle:
    """At most ``slots`` requests at a time and ``rate`` per second, with bursts of up to one second's worth.

    With ``adaptive``, fewer than ``slots`` run if that is as fast: the number follows the requests' latency.

    Namespaces that wait take turns, one request each, and so do the keys of a namespace, so that a key with a
    thousand requests does not delay another key's first one. A namespace whose requests are slow may hold all
    slots but a reserve, which is for namespaces without one.
    """

    slots: int = 32
    rate: float = 1000.0
    adaptive: InitVar[bool] = False
    last_end: float = 0.0
    """When a request last ended, whatever came of it."""
    _limit: AdaptiveLimit | None = None
    _used: int = 0
    _used_by: Counter[str] = field(default_factory=Counter)
    """The slots in use, by namespace."""
    _tokens: float | None = None
    _refilled: float = 0.0
    _paused_until: float = 0.0
    _waiters: _Waiters = field(default_factory=_Waiters)
    _timer: asyncio.TimerHandle | None = None

    def __post_init__(self, adaptive: bool) -> None:
        if adaptive:
            # So that the reserve fits in too.
            self._limit = AdaptiveLimit(self.slots - self.slots // (RESERVE + 1))

    @asynccontextmanager
    async def slot(
        self, key: Key, priority: Priority = Priority.CHANGE, kind: Hashable = None
    ) -> AsyncIterator[None]:
        """Wait for a slot and hold it while the context lasts; requests of one ``kind`` take equally long."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(key, priority, loop.create_future())
        self._waiters.put(waiter)
        if not self._used_by[key.namespace]:
            self._waiters.without_slot[key.namespace] = None
        self._grant()
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._release(key)
            raise
        sent, epoch = loop.time(), self._limit.epoch if self._limit else 0
        try:
            yield
            if self._limit is not None and self._used >= self._limit.current:
                self._limit.add(kind, epoch, sent, loop.time())
        finally:
            self.last_end = loop.time()
            self._release(key)

    @property
    def limit(self) -> int:
        """How many requests may run at a time now, without the reserve."""
        return self._limit.current if self._limit else self.slots

    def is_waiting(self, priority: Priority) -> bool:
        """Return whether a request of this priority waits."""
        return bool(self._waiters.queues[priority])

    def pause(self, seconds: float) -> None:
        """Grant no slot for some seconds, because the API server asked for it."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def overloaded(self) -> None:
        """Grant fewer slots at a time: the API server did not accept or answer a request for its load."""
        if self._limit is not None:
            self._limit.refused(self._used, asyncio.get_running_loop().time())

    def _release(self, key: Key) -> None:
        self._used -= 1
        self._used_by[key.namespace] -= 1
        if not self._used_by[key.namespace]:
            del self._used_by[key.namespace]
            if self._waiters.count[key.namespace]:
                self._waiters.without_slot[key.namespace] = None
        self._grant()

    def _grant(self) -> None:
        while self._waiters.count and self._has_room():
            delay = self._delay()
            if delay > 0:
                if self._timer is None:
                    # Event loops measure time in milliseconds at best.
                    self._timer = asyncio.get_running_loop().call_later(max(delay, 0.001), self._on_timer)
                return
            waiter = self._waiters.pop() if self._used < self.limit else self._waiters.pop_without_slot()
            if waiter.turn.cancelled():
                continue
            self._used += 1
            self._used_by[waiter.key.namespace] += 1
            self._tokens = (self._tokens or 0.0) - 1.0
            waiter.turn.set_result(None)

    def _has_room(self) -> bool:
        limit = self.limit
        if self._used < limit:
            return True
        reserve = max(1, limit // RESERVE)
        return self._used < min(self.slots, limit + reserve) and bool(self._waiters.without_slot)

    def _on_timer(self) -> None:
        self._timer = None
        self._grant()

    def _delay(self) -> float:
        """Return the seconds until the next request may start."""
        now = asyncio.get_running_loop().time()
        tokens = self.rate if self._tokens is None else self._tokens + (now - self._refilled) * self.rate
        self._tokens, self._refilled = min(tokens, self.rate), now
        return max(self._paused_until - now, (1.0 - self._tokens) / self.rate)
