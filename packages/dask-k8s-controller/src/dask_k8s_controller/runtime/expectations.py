"""Our writes that the watch has not shown yet, so that a lagging cache causes no second one. No I/O."""

import math
from dataclasses import dataclass, field

from dask_k8s_controller.runtime.cache import Change
from dask_k8s_controller.runtime.objects import Key


@dataclass(slots=True)
class Expectations:
    """Expected creations, by key, and expected deletions, by uid.

    An expectation expires after ``timeout`` seconds, or after ``unanswered_timeout`` seconds if the API
    server did not answer the request. From then on only the cache counts. Even then nothing is created
    twice, because the next attempt uses the same names.
    """

    timeout: float = 30.0
    unanswered_timeout: float = 3.0
    _creations: dict[str, dict[Key, float]] = field(default_factory=dict)
    """The time at which each expectation expires, by the uid of the owner."""
    _owner_of: dict[Key, str] = field(default_factory=dict)
    _doubted: dict[Key, str] = field(default_factory=dict)
    """The owner of each object whose creation expired: it may exist all the same."""
    _deletions: dict[str, float] = field(default_factory=dict)

    def expect_creation(self, owner: str, key: Key, *, now: float) -> None:
        """Expect an object; call this before the request is sent."""
        self._creations.setdefault(owner, {})[key] = now + self.timeout
        self._owner_of[key] = owner

    def drop_creation(self, key: Key) -> None:
        """Stop expecting an object: the API server refused it, or the watch has shown it."""
        self._doubted.pop(key, None)
        owner = self._owner_of.pop(key, None)
        if owner is not None:
            creations = self._creations[owner]
            del creations[key]
            if not creations:
                del self._creations[owner]

    def creation_unanswered(self, key: Key, *, now: float) -> None:
        """Expect an object for a short time only, since the API server did not answer the request."""
        owner = self._owner_of.get(key)
        if owner is not None:
            self._creations[owner][key] = now + self.unanswered_timeout

    def expect_deletion(self, uid: str, *, now: float) -> None:
        """Expect the deletion of the object with this uid; call this before the request is sent."""
        self._deletions[uid] = now + self.timeout

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
            for key in self.doubted(record.uid):
                del self._doubted[key]

    def creations(self, owner: str, *, now: float) -> frozenset[Key]:
        """Return the objects of an owner that we created and the watch has not shown yet."""
        for key in [key for key, expires in self._creations.get(owner, {}).items() if expires <= now]:
            self.drop_creation(key)
            self._doubted[key] = owner
        return frozenset(self._creations.get(owner, ()))

    def doubted(self, owner: str) -> list[Key]:
        """Return the objects of an owner whose creation expired, in the order of their creation."""
        return [key for key, owner_uid in self._doubted.items() if owner_uid == owner]

    def expects_deletion(self, uid: str, *, now: float) -> bool:
        """Return whether we deleted the object with this uid and the watch has not shown it yet."""
        if self._deletions.get(uid, math.inf) <= now:
            del self._deletions[uid]
        return uid in self._deletions
