"""How many workers to make and which ones go. Pure; the time is passed in."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from dask_k8s_controller.dask.pods import Pod
from dask_k8s_controller.runtime.cache import Record

RESTART_SECONDS = 10.0
"""A pod that ended by itself is replaced when it is so old, its successor when twice as old, and so on."""
LONGEST_RESTART_SECONDS = 300.0
"""The longest such time, as it is the kubelet's for containers."""
CALM_SECONDS = 600.0
"""When a worker that got so old ends, those that ended before it are forgotten."""
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
    def of(cls, records: Sequence[Record], expected: Collection[str], digest: str = "") -> Self:
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
    """``make`` so many workers now, or let ``surplus`` go; clear ``finished`` away, and look again then.

    Those to be made come after so many ``failures`` in a row.
    """

    make: int
    surplus: int
    finished: tuple[Record, ...]
    look_again: float | None
    failures: int = 0


def decide(observed: Observed, replicas: int, now: datetime) -> Decision:
    """Compare what there is with what there should be."""
    waits = {record: _rest(record.value, observed.digest, now) for record in observed.finished}
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
        failures=max((_failures(record.value, observed.digest, now) for record in old), default=0),
    )


def _rest(pod: Pod, digest: str, now: datetime) -> float:
    """How long a pod that ended still counts."""
    if not _failed(pod, digest):
        return 0.0
    seconds: float = RESTART_SECONDS * 2 ** min(pod.failures, 10)
    return min(seconds, LONGEST_RESTART_SECONDS) - age(pod, now)


def _failures(pod: Pod, digest: str, now: datetime) -> int:
    """How many failures in a row its successor comes after."""
    if not _failed(pod, digest):
        return 0
    return 1 if age(pod, now) >= CALM_SECONDS else pod.failures + 1


def _failed(pod: Pod, digest: str) -> bool:
    """Whether its successor may fail, too: neither the node nor an older template is to blame."""
    return not (pod.taken_away or pod.outdated(digest))


def newest_first(living: Sequence[Record]) -> list[Record]:
    """Sort pods by age; those of the same second by name, so that the order is the same every time."""
    return sorted(living, key=lambda record: (_reversed(record.value.created), record.value.name))


def age(pod: Pod, now: datetime) -> float:
    """Return the seconds since a pod was created."""
    return (now - datetime.fromisoformat(pod.created)) / timedelta(seconds=1)


def _reversed(timestamp: str) -> str:
    """Return a text that sorts newer timestamps first."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in timestamp)
