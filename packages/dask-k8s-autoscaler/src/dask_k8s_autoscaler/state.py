"""The state of an autoscaler between reconciles: its history, and when to poll the scheduler. No I/O."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from zlib import crc32

from dask_k8s_autoscaler.history import History
from dask_k8s_autoscaler.model import Group, Work
from dask_k8s_autoscaler.observe import Observed, ParseCache
from dask_k8s_autoscaler.policy import Change
from dask_k8s_controller import Finding

MAX_POLL_SECONDS = 60.0
"""Back-off limit: a scheduler that does not answer is polled at least this often."""
TIMER_SLACK = 0.05
"""Seconds that a timer may fire early."""
FREE_FAILURES = 2
"""How many failed polls in a row do not increase the back-off."""
MAX_FAILURES = 20
"""Where the counter of failed polls stops."""


@dataclass(slots=True)
class State:
    """The state of the autoscaler with this uid; times are in seconds since 1970.

    Attributes:
        poll_delay: Seconds from the last poll until the next.
        failures: Failed polls in a row.
        work: The last answer of the scheduler, until all changes that it requires are applied.
        reported: The content of the status that was written last.
    """

    uid: str
    last_poll: float
    poll_delay: float
    failures: int = 0
    cluster_version: int = 0
    work: Work | None = None
    poll_error: Finding | None = None
    history: History = field(default_factory=History)
    limit: Finding | None = None
    last_change: Finding | None = None
    last_scale_time: datetime | None = None
    reported: Hashable = None
    parse_cache: ParseCache = field(default_factory=ParseCache)

    @classmethod
    def start(cls, observed: Observed, cache: ParseCache, now: datetime) -> Self:
        """Start; the first poll of an autoscaler older than its interval has a delay that depends on its uid.

        After a restart of the controller, polls of all autoscalers are therefore spread over the interval.
        """
        uid, interval = observed.record.uid, observed.settings.interval
        age = now - (observed.autoscaler.metadata.creation_timestamp or now)
        delay = interval * crc32(uid.encode()) / 2**32 if age.total_seconds() > interval else 0.0
        return cls(uid, now.timestamp(), delay, parse_cache=cache)

    def seconds_to_poll(self, now: float) -> float:
        """Return the seconds until the next poll; 0 if it is due."""
        remaining = self.poll_delay - (now - self.last_poll)
        # More than the delay remains if the clock was set back.
        return remaining if TIMER_SLACK < remaining <= self.poll_delay else 0.0

    def end_back_off(self, cluster_version: int, interval: float) -> None:
        """End the back-off if the cluster has changed, since its scheduler may answer again."""
        if cluster_version != self.cluster_version:
            self.cluster_version, self.poll_delay = cluster_version, min(self.poll_delay, interval)

    def poll_succeeded(self, work: Work, interval: float, now: float) -> None:
        """Record the answer of the scheduler."""
        self.last_poll, self.poll_delay, self.failures = now, interval, 0
        self.work, self.poll_error = work, None

    def poll_failed(self, error: Finding, interval: float, now: float, *, back_off: bool) -> None:
        """Record that there was no answer; with `back_off`, poll less often after several failures."""
        self.failures = min(self.failures + 1, MAX_FAILURES) if back_off else 0
        factor = 2.0 ** max(0, self.failures - FREE_FAILURES)
        self.last_poll, self.poll_delay = now, min(interval * factor, max(interval, MAX_POLL_SECONDS))
        self.work, self.poll_error, self.limit = None, error, None

    def applied(self, changes: Sequence[Change], groups: Sequence[Group], now: datetime) -> bool:
        """Record which changes were applied; return whether all were.

        If not, because somebody else changed a group first, the work remains for another decision.
        """
        sizes = {group.name: group.replicas for group in groups}
        applied = [change for change in changes if sizes.get(change.group) == change.after]
        if applied:
            resized = {change.group: change.after for change in applied}
            self.history = self.history.resized(now.timestamp(), resized)
            message = "; ".join(change.message for change in applied)
            self.last_change, self.last_scale_time = Finding(applied[0].reason, message), now
        if len(applied) < len(changes):
            return False
        self.work = None
        return True
