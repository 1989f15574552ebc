"""The work queue: keys to reconcile, deduplicated, one turn at a time per key, with back-off. No I/O."""

import asyncio
from dataclasses import dataclass, field

from dask_k8s_controller.runtime.backoff import Backoff
from dask_k8s_controller.runtime.fair_queue import FairQueue
from dask_k8s_controller.runtime.objects import Key


@dataclass(slots=True)
class WorkQueue:
    """A queue that holds each key once, however often it is put.

    Namespaces take turns, one key each; the keys of a namespace come in the order in which they were put. A
    key that is being processed is not returned a second time: if it is put meanwhile, it is queued again
    after `done`. Two turns of a key are at least ``min_interval`` seconds apart. No operation takes longer
    because other keys are queued or processed.
    """

    backoff: Backoff = field(default_factory=Backoff)
    min_interval: float = 0.1
    last_end: float = 0.0
    """When a turn last ended."""
    _ready: dict[Key, float] = field(default_factory=dict)
    """Keys that wait for their turn, with the time at which each was queued."""
    _order: FairQueue[Key] = field(default_factory=FairQueue)
    """The same keys, by namespace."""
    _active: dict[Key, float] = field(default_factory=dict)
    """Keys that are being processed, with the time at which each turn started."""
    _put_again: set[Key] = field(default_factory=set)
    """Active keys that were put again."""
    _timers: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)
    _not_before: dict[Key, float] = field(default_factory=dict)
    _failures: dict[Key, int] = field(default_factory=dict)
    _not_empty: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, key: Key) -> None:
        """Queue a key, as soon as ``min_interval`` allows it."""
        if key in self._active:
            self._put_again.add(key)
        elif key not in self._ready:
            if self._not_before.get(key, 0.0) > _now():
                self.put_after(key, 0.0)
            else:
                self._make_ready(key)

    def put_after(self, key: Key, seconds: float) -> None:
        """Queue a key after some seconds, and as ``min_interval`` allows it, unless it is queued earlier."""
        if key in self._ready:
            return
        when = max(_now() + seconds, self._not_before.get(key, 0.0))
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_at(when, self._on_timer, key)

    async def get(self) -> Key:
        """Wait for the next key and start its turn, which lasts until `done` or `failed`."""
        while not self._ready:
            self._not_empty.clear()
            await self._not_empty.wait()
        key = self._order.pop()
        del self._ready[key]
        self._active[key] = _now()
        return key

    def done(self, key: Key, *, again_after: float | None = None) -> None:
        """End a turn that succeeded; queue the key again after ``again_after`` seconds, if not None."""
        self._failures.pop(key, None)
        self._end_turn(key)
        if again_after is not None:
            self.put_after(key, again_after)

    def failed(self, key: Key, *, at_least: float = 0.0) -> float:
        """End a turn that failed, and return the seconds until the retry, which are ``at_least`` this many.

        If the key was put meanwhile, it waits for the retry too: an immediate one would fail again.
        """
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        delay = max(self.backoff.delay(failures), at_least)
        self._put_again.discard(key)
        self._end_turn(key)
        self.put_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """Drop the failures and the timer of a key whose object is gone."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)
        self._cancel_timer(key)

    def longest_wait(self) -> float:
        """Return for how many seconds a key has waited, or a turn has lasted, at most."""
        since = min((*self._ready.values(), *self._active.values()), default=_now())
        return _now() - since

    def waiting(self) -> list[Key]:
        """Return the keys that wait for their turn, in the order in which they were put."""
        return list(self._ready)

    def _on_timer(self, key: Key) -> None:
        self._timers.pop(key, None)
        if key in self._active:
            self._put_again.add(key)
        else:
            self._make_ready(key)

    def _make_ready(self, key: Key) -> None:
        self._cancel_timer(key)
        if key not in self._ready:
            self._ready[key] = _now()
            self._order.put(key, key.namespace)
        self._not_empty.set()

    def _cancel_timer(self, key: Key) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()

    def _end_turn(self, key: Key) -> None:
        del self._active[key]
        self.last_end = _now()
        self._not_before[key] = _now() + self.min_interval
        asyncio.get_running_loop().call_later(self.min_interval, self._not_before.pop, key, None)
        if key in self._put_again:
            self._put_again.discard(key)
            self.put(key)


def _now() -> float:
    return asyncio.get_running_loop().time()
