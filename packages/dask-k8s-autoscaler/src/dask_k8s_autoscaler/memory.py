"""What is remembered of an autoscaler: the past, and when to ask its scheduler again. No I/O."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from zlib import crc32

from dask_k8s_autoscaler.history import History
from dask_k8s_autoscaler.observe import Known
from dask_k8s_autoscaler.policy import Change, Decision, Limit
from dask_k8s_autoscaler.status import act
from dask_k8s_autoscaler.values import Group, Work
from dask_k8s_controller import Finding

LONGEST_WAIT = 60.0
"""Seconds: a scheduler that does not answer is asked so often at least."""
SLACK = 0.05
"""Seconds that a timer may be early."""
PATIENT = 2
"""So many times in a row it may fail to answer before it is asked less often."""


@dataclass(slots=True)
class Memory:
    """Of the one autoscaler with this ``uid``; times are seconds since 1970.

    ``asked`` is when its scheduler was asked last, ``wait`` how long to let it be. ``work`` is what it said,
    until that is done with, ``silence`` why it says nothing; ``cluster`` is the version that was seen last.
    ``reported`` is what the status was made from.
    """

    uid: str
    asked: float
    wait: float
    failures: int = 0
    cluster: int = 0
    work: Work | None = None
    silence: Finding | None = None
    history: History = field(default_factory=History)
    limit: Limit | None = None
    last: Finding | None = None
    scaled: datetime | None = None
    reported: Hashable = None
    known: Known = field(default_factory=Known)

    @classmethod
    def of(cls, uid: str, age: float, interval: float, now: float) -> Self:
        """Begin. An autoscaler that is older than its interval waits for a turn of its own within it.

        So those of a whole installation do not all ask at the same moment after a restart, and ever after.
        """
        turn = interval * crc32(uid.encode()) / 2**32 if age > interval else 0.0
        return cls(uid, now, turn)

    def due(self, now: float) -> float:
        """Return the seconds until the scheduler is to be asked again; 0: now."""
        remaining = self.wait - (now - self.asked)
        # A clock that was set back must not silence an autoscaler.
        return remaining if SLACK < remaining <= self.wait else 0.0

    def noticed(self, cluster: int, interval: float) -> None:
        """Take note of the version of the cluster: when that changes, a scheduler may answer again."""
        if cluster != self.cluster:
            self.cluster, self.wait = cluster, min(self.wait, interval)

    @property
    def fresh(self) -> bool:
        """Whether there is nothing to report yet."""
        return self.silence is None and not self.history.tracks and self.last is None

    def heard(self, work: Work, interval: float, now: float) -> None:
        """Take note of an answer."""
        self.asked, self.wait, self.failures = now, interval, 0
        self.work, self.silence = work, None

    def unheard(self, why: Finding, interval: float, now: float, *, failed: bool) -> None:
        """Take note that there was none; who fails again and again is asked less often."""
        self.failures = min(self.failures + 1, 2 * PATIENT + 16) if failed else 0
        slower = 2.0 ** max(0, self.failures - PATIENT)
        self.asked, self.wait = now, min(interval * slower, max(interval, LONGEST_WAIT))
        self.work, self.silence, self.limit = None, why, None

    def decided(self, decision: Decision) -> None:
        """Take note of a decision, whose changes are to be made."""
        self.history, self.limit = decision.history, decision.limit

    def done(self, changes: Sequence[Change], groups: Sequence[Group], now: datetime) -> bool:
        """Take note of which changes were made; return whether all were.

        Where somebody else was faster, what the scheduler said is there for another decision.
        """
        sizes = {group.name: group.replicas for group in groups}
        made = [change for change in changes if sizes.get(change.group) == change.after]
        if made:
            settled = {change.group: change.after for change in made}
            self.history = self.history.settled(now.timestamp(), settled)
            self.last, self.scaled = act(made), now
        return len(made) == len(changes)
