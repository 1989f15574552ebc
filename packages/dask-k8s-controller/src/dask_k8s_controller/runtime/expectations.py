"""Our writes that the watch has not shown yet, so that a lagging cache causes no second one. No I/O."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from dask_k8s_controller.runtime.cache import Change
from dask_k8s_controller.runtime.objects import Key

DOUBT_SECONDS = 600.0
"""For how long an object that never appeared may exist all the same; a watch does not lag by so much."""


class _Creation(NamedTuple):
    owner: str
    expires: float


@dataclass(slots=True)
class Expectations:
    """Expected creations, by key, and expected deletions, by uid.

    An expectation expires after ``timeout`` seconds, or after ``unanswered_timeout`` seconds if the API
    server did not answer the request. From then on only the cache counts. Even then nothing is created
    twice, because the next attempt uses the same names. Entries that nobody asks for are dropped in time.
    """

    timeout: float = 30.0
    unanswered_timeout: float = 1.0
    _creations: OrderedDict[Key, _Creation] = field(default_factory=OrderedDict)
    """In the order in which they were expected; those that have expired are in doubt."""
    _of_owner: dict[str, dict[Key, None]] = field(default_factory=dict)
    """The keys of the creations by the uid of the owner, in the same order."""
    _deletions: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """When each expires, in the order in which they were expected."""

    def expect_creation(self, owner: str, key: Key, *, now: float) -> None:
        """Expect an object; call this before the request is sent."""
        self._drop_old(now)
        known = self._creations.get(key)
        if known is not None and known.owner != owner:
            self.drop_creation(key)
        self._creations[key] = _Creation(owner, now + self.timeout)
        self._creations.move_to_end(key)
        # One that is in doubt keeps its place: the next attempt uses the same name first.
        self._of_owner.setdefault(owner, {})[key] = None

    def drop_creation(self, key: Key) -> None:
        """Stop expecting an object: the API server refused it, or the watch has shown it."""
        creation = self._creations.pop(key, None)
        if creation is not None:
            keys = self._of_owner[creation.owner]
            del keys[key]
            if not keys:
                del self._of_owner[creation.owner]

    def creation_unanswered(self, key: Key, *, now: float) -> None:
        """Expect an object for a short time only, since the API server did not answer the request."""
        creation = self._creations.get(key)
        if creation is not None:
            self._creations[key] = creation._replace(expires=now + self.unanswered_timeout)

    def expect_deletion(self, uid: str, *, now: float) -> None:
        """Expect the deletion of the object with this uid; call this before the request is sent."""
        self._drop_old(now)
        self._deletions[uid] = now + self.timeout
        self._deletions.move_to_end(uid)

    def drop_deletion(self, uid: str) -> None:
        """Stop expecting a deletion: the API server refused it, or the watch has shown it."""
        self._deletions.pop(uid, None)

    def deletion_unanswered(self, uid: str, *, now: float) -> None:
        """Expect a deletion for a short time only, since the API server did not answer the request."""
        if uid in self._deletions:
            self._deletions[uid] = now + self.unanswered_timeout

    def observe(self, change: Change) -> None:
        """Drop the expectations that a change of the cache fulfils."""
        record = change.record
        self.drop_creation(record.key)
        if record.deleting or change.deleted:
            self.drop_deletion(record.uid)
        if change.deleted:
            for key in list(self._of_owner.get(record.uid, ())):
                self.drop_creation(key)

    def creations(self, owner: str, *, now: float) -> frozenset[Key]:
        """Return the objects of an owner that we created and the watch has not shown yet."""
        return frozenset(key for key in self._of_owner.get(owner, ()) if self._creations[key].expires > now)

    def doubted(self, owner: str, *, now: float) -> list[Key]:
        """Return the objects of an owner whose creation expired, in the order of their creation.

        They may exist all the same.
        """
        return [key for key in self._of_owner.get(owner, ()) if self._creations[key].expires <= now]

    def expects_deletion(self, uid: str, *, now: float) -> bool:
        """Return whether we deleted the object with this uid and the watch has not shown it yet."""
        return self._deletions.get(uid, now) > now

    def _drop_old(self, now: float) -> None:
        """Drop what has expired, also of objects and owners for which nobody asks any more."""
        while self._deletions and next(iter(self._deletions.values())) <= now:
            self._deletions.popitem(last=False)
        while self._creations:
            key, creation = next(iter(self._creations.items()))
            if creation.expires + DOUBT_SECONDS > now:
                break
            self.drop_creation(key)
