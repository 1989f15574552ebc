"""How many workers to make and which ones go. Pure; the time is passed in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dask_k8s_controller.pods import Pod
from dask_k8s_controller.river.cache import Record

RESTART_SECONDS = 10.0
"""A pod that ended by itself is replaced when it is so old, so that none is made in a tight loop."""
SLICE = 500
"""So many workers are made at most in one pass, so that an edit meanwhile is noticed."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The workers of a group: who lives, who has ended, who goes, and who was made but not seen yet."""

    living: tuple[Record, ...]
    finished: tuple[Record, ...]
    going: tuple[Record, ...]
    expected: frozenset[str]
    digest: str = ""
    """Of what workers are made from now."""

    @classmethod
    def of(cls, records: Sequence[Record], expected: Collection[str], digest: str = "") -> Observed:
        """Sort the pods of a group."""
        present = [record for record in records if not record.deleting]
        return cls(
            living=tuple(record for record in present if not record.value.finished),
            finished=tuple(record for record in present if record.value.finished),
            going=tuple(record for record in records if record.deleting),
            expected=frozenset(expected) - {record.key.name for record in records},
            digest=digest,
        )

    @property
    def count(self) -> int:
        """How many workers there are or will be without a further act."""
        return len(self.living) + len(self.expected)

    @property
    def ready(self) -> int:
        """How many workers are ready."""
        return sum(record.value.ready for record in self.living)

    @property
    def updated(self) -> int:
        """How many workers are made from what they should be made from, or will be."""
        outdated = sum(1 for record in self.living if record.value.outdated(self.digest))
        return self.count - outdated

    @property
    def names(self) -> set[str]:
        """Names that are taken."""
        return {record.key.name for record in (*self.living, *self.finished, *self.going)} | self.expected


@dataclass(frozen=True, slots=True)
class Decision:
    """``make`` so many workers now, or let ``surplus`` go; clear ``finished`` away, and look again then."""

    make: int
    surplus: int
    finished: tuple[Record, ...]
    look_again: float | None


def decide(observed: Observed, replicas: int, now: datetime) -> Decision:
    """Compare what there is with what there should be."""
    waits = {record: _rest(record.value, now) for record in observed.finished}
    old = tuple(record for record, wait in waits.items() if wait <= 0)
    young = len(observed.finished) - len(old)
    missing = replicas - observed.count
    make = max(0, min(missing - young, SLICE))
    later = [wait for wait in waits.values() if wait > 0]
    return Decision(
        make=make,
        # Too many of those that live: what was made and not seen yet takes its turn when it is seen.
        surplus=max(0, len(observed.living) - replicas),
        finished=old if missing >= 0 else observed.finished,
        look_again=0.0 if missing - young > make else min(later, default=None),
    )


def _rest(pod: Pod, now: datetime) -> float:
    """How long a pod that ended still counts; one that its node took away is replaced at once."""
    return 0.0 if pod.taken_away else RESTART_SECONDS - age(pod, now)


def newest_first(living: Sequence[Record]) -> list[Record]:
    """Sort pods by age; those of the same second by name, so that the order is the same every time."""
    return sorted(living, key=lambda record: (_reversed(record.value.created), record.value.name))


def age(pod: Pod, now: datetime) -> float:
    """Return the seconds since a pod was created."""
    return (now - datetime.fromisoformat(pod.created)) / timedelta(seconds=1)


def _reversed(timestamp: str) -> str:
    """Return a text that sorts newer timestamps first."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in timestamp)
