"""How many requests the API server can process at a time, found from the time that they take. Pure; no I/O.

A server that processes K requests at a time takes as long for each of K as for one of them. With more than K
in flight, the others wait inside the server: each takes longer, and no more are answered per second. K, the
*knee*, is not known and changes. The latency alone is not enough: a slow webhook and a long queue look alike.
So the limit alternates between a little below and a little above the estimate, and the ratio of the two
latencies corrects it:

    knee = high limit * latency at the low limit / latency at the high limit

Below the knee the latencies are equal and the estimate grows; above it they grow with the limit and the
estimate shrinks. Nothing is remembered of a latency for longer than one such cycle, so that a server that
becomes slower for every request does not look like one that is overloaded. At the start the limit doubles as
long as that does not raise the latency. A refusal (429) puts a ceiling below the number of requests in flight
that caused it, unless as many have just been answered many times; the ceiling rises slowly.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

START = 8
"""The limit at the start."""
LEAST = 2
LOW, HIGH = 0.95, 1.3
"""The two limits of a cycle, as multiples of the knee."""
OVERLOAD, LOWER = 1.05, 0.9
"""An estimate below so many times the lower limit counts as so many times that limit."""
DOUBLING_PAYS = 0.72
"""The start is over if less than this share of a doubled limit is of use."""
MIN_SAMPLES = 64
ENOUGH_SECONDS = 1.0
"""After this time, one request for each slot is enough."""
GAIN = 0.6
NOISE_SAMPLES = 48
"""So many samples get half of the full gain: the latencies of single requests differ."""
MOMENTUM = 0.5
"""By how much the gain grows with each correction in the same direction."""
MAX_STREAK = 4
IDLE_SECONDS = 5.0
"""Samples before and after a longer pause are not compared."""
BACK_OFF = 0.9
"""The ceiling after a refusal, as a share of the requests that were in flight."""
PROOF = 1
"""After so many answers for each request in flight, their number is not why the next one is refused."""
SLOW_RISE_SECONDS = 15.0
"""How often the ceiling rises, by a tenth."""
REFUSAL_SECONDS = 1.0
"""Refusals that are nearer to each other count once."""


@dataclass(slots=True)
class _Latencies:
    """The time that requests took, by kind: kinds differ, and each is compared only with itself."""

    count: int = 0
    sums: dict[Hashable, tuple[int, float]] = field(default_factory=dict)

    def add(self, kind: Hashable, seconds: float) -> None:
        count, total = self.sums.get(kind, (0, 0.0))
        self.sums[kind] = count + 1, total + seconds
        self.count += 1

    def ratio(self, other: "_Latencies") -> float | None:
        """Return how many times as long as in the other sample requests took; None without a common kind."""
        weights = ratios = 0.0
        for kind, (count, total) in self.sums.items():
            others, other_total = other.sums.get(kind, (0, 0.0))
            if others and total > 0:
                weight = min(count, others)
                weights += weight
                ratios += weight * (total / count) / max(other_total / others, 1e-9)
        return ratios / weights if weights else None


@dataclass(slots=True)
class AdaptiveLimit:
    """The number of requests to have in flight, at most ``most``."""

    most: int
    current: int = field(init=False)
    epoch: int = 0
    """Changes whenever ``current`` does; a request belongs to the epoch in which it was sent."""
    _knee: float = field(init=False)
    _starting: bool = True
    _is_high: bool = False
    _low: tuple[int, _Latencies] | None = None
    """The lower limit of this cycle, and the latencies with it."""
    _latencies: _Latencies = field(default_factory=_Latencies)
    _skipped: int = 0
    _began: float | None = None
    """When the first request of this epoch that ended was sent."""
    _last_sample: float = 0.0
    _streak: int = 0
    """How many corrections in a row had the same direction; negative for a smaller limit."""
    _ceiling: float = field(init=False)
    _ceiling_set: float = 0.0
    _last_refusal: float | None = None
    _proven: int = 0
    """The highest limit since the last refusal."""
    _answered: int = 0
    """How many requests were answered since with this limit."""

    def __post_init__(self) -> None:
        self._knee = float(min(START, self.most))
        self._ceiling = float(self.most)
        self.current = self._bounded(self._knee)

    def add(self, kind: Hashable, epoch: int, sent: float, now: float) -> None:
        """Learn that a request of this epoch was answered now, while no more were allowed in flight."""
        if self._ceiling < self.most and now - self._ceiling_set > SLOW_RISE_SECONDS:
            self._ceiling, self._ceiling_set = min(self.most, self._ceiling * 1.1 + 0.5), now
        if epoch != self.epoch:
            return
        if self.current > self._proven:
            self._proven, self._answered = self.current, 0
        self._answered += self.current == self._proven
        if self._began is not None and now - self._last_sample > max(IDLE_SECONDS, 3 * (now - sent)):
            self._low, self._is_high = None, False
            self._begin(self._knee if self._starting else self._knee * LOW)
            return
        self._last_sample = now
        if self._is_high and self._skipped < self.current:
            # Those that were sent as the limit rose have waited for fewer others.
            self._skipped += 1
            return
        if self._began is None:
            self._began = sent
        self._latencies.add(kind, now - sent)
        if self._latencies.count >= self._enough(now - self._began):
            self._end()

    def refused(self, in_flight: int, now: float) -> None:
        """Learn that the API server refused a request because of its load, with so many in flight.

        It may have other reasons than this client: then fewer in flight would not help.
        """
        if self._last_refusal is not None and now - self._last_refusal < REFUSAL_SECONDS:
            return
        is_proven = self.current <= self._proven and self._answered >= PROOF * in_flight
        is_cause = in_flight >= self.current and not is_proven
        self._last_refusal, self._answered = now, 0
        if not is_cause:
            return
        self._ceiling_set = now
        self._ceiling = max(float(LEAST), in_flight * BACK_OFF)
        self._knee = min(self._knee, self._ceiling)
        self._starting = self._is_high = False
        self._begin(self._knee * LOW)
        self._proven = self.current

    def _enough(self, seconds: float) -> int:
        """Return how many samples this epoch needs, after so many seconds."""
        if self._starting or seconds > ENOUGH_SECONDS:
            return self.current
        return max(MIN_SAMPLES, 2 * self.current)

    def _end(self) -> None:
        if self._starting:
            self._end_of_doubling()
        elif self._is_high:
            self._correct()
            self._is_high = False
            self._begin(self._knee * LOW)
        else:
            self._low, self._is_high = (self.current, self._latencies), True
            self._begin(max(self._knee * HIGH, self.current + 1))

    def _end_of_doubling(self) -> None:
        useful = self._estimate()
        if self._low is not None and useful is not None and useful < DOUBLING_PAYS * self.current:
            self._knee, self._starting = float(self._low[0]), False
        elif self.current >= self._bounded(self.most):
            self._knee, self._starting = float(self.current), False
        else:
            self._low, self._knee = (self.current, self._latencies), 2.0 * self.current
            self._begin(self._knee)
            return
        self._begin(self._knee * LOW)

    def _correct(self) -> None:
        estimate = self._estimate()
        if estimate is None or self._low is None:
            return
        if estimate < self._low[0] * OVERLOAD:
            # Both limits are too high, and nothing is known but that the knee is below the lower one.
            estimate = min(estimate, self._low[0] * LOWER)
        direction = 1 if estimate > self._knee else -1
        self._streak = self._streak + direction if self._streak * direction > 0 else direction
        samples = self._latencies.count
        momentum = 1 + MOMENTUM * (min(abs(self._streak), MAX_STREAK) - 1)
        gain = min(1.0, GAIN * momentum * samples / (samples + NOISE_SAMPLES))
        self._knee = min(float(self.most), max(float(LEAST), self._knee * (estimate / self._knee) ** gain))

    def _estimate(self) -> float | None:
        """Return the knee by the latencies at two limits; None if there are none to compare."""
        if self._low is None or self._low[0] >= self.current:
            return None
        ratio = self._latencies.ratio(self._low[1])
        return None if ratio is None else self.current / ratio

    def _begin(self, limit: float) -> None:
        self.current = self._bounded(limit)
        self.epoch += 1
        self._latencies, self._skipped, self._began = _Latencies(), 0, None

    def _bounded(self, limit: float) -> int:
        return max(min(LEAST, self.most), min(self.most, int(self._ceiling), round(limit)))
