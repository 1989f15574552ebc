"""Writes of ours that the watch has not shown yet, so that a lagging cache never makes a second one.

No I/O; time is passed in.
"""

from dataclasses import dataclass, field

from dask_k8s_controller.runtime.cache import Change, What
from dask_k8s_controller.runtime.objects import Key


@dataclass(slots=True)
class Expectations:
    """Creations by key and deletions by uid that are under way.

    Each has a deadline (``patience``, in seconds of the clock that is passed in, or ``doubt`` where the
    server did not answer), after which the cache is believed again: the same names are tried first, so that
    the API server refuses a duplicate even then.
    """

    patience: float = 30.0
    doubt: float = 3.0
    _creations: dict[str, dict[Key, float]] = field(default_factory=dict)
    """By the uid of the owner."""
    _owner_of: dict[Key, str] = field(default_factory=dict)
    _doubted: dict[Key, str] = field(default_factory=dict)
    """Owners of what was not seen in time: it may exist all the same."""
    _deletions: dict[str, float] = field(default_factory=dict)

    def creating(self, owner: str, key: Key, *, now: float) -> None:
        """Expect an object; to be called before the request is sent."""
        self._creations.setdefault(owner, {})[key] = now + self.patience
        self._owner_of[key] = owner

    def not_created(self, key: Key) -> None:
        """Stop expecting an object: it was refused, or it has been seen."""
        self._doubted.pop(key, None)
        owner = self._owner_of.pop(key, None)
        if owner is not None:
            family = self._creations[owner]
            del family[key]
            if not family:
                del self._creations[owner]

    def doubt_creation(self, key: Key, *, now: float) -> None:
        """Expect an object for a short while only: nobody said that it was created."""
        owner = self._owner_of.get(key)
        if owner is not None:
            self._creations[owner][key] = now + self.doubt

    def deleting(self, uid: str, *, now: float) -> None:
        """Expect that the object with this uid goes; to be called before the request is sent."""
        self._deletions[uid] = now + self.patience

    def not_deleted(self, uid: str) -> None:
        """Stop expecting that an object goes: the request was refused, or it is going."""
        self._deletions.pop(uid, None)

    def doubt_deletion(self, uid: str, *, now: float) -> None:
        """Expect for a short while only that an object goes: nobody said that it was deleted."""
        if uid in self._deletions:
            self._deletions[uid] = now + self.doubt

    def seen(self, change: Change) -> None:
        """Compare with what the watch shows."""
        record = change.record
        self.not_created(record.key)
        if record.deleting or change.what is What.GONE:
            self.not_deleted(record.uid)
        if change.what is What.GONE:
            for key in self.doubted(record.uid):
                del self._doubted[key]

    def created(self, owner: str, *, now: float) -> frozenset[Key]:
        """Return the objects of an owner that exist as far as we know, though the watch is silent."""
        family = self._creations.get(owner, {})
        for key in [key for key, deadline in family.items() if deadline <= now]:
            self.not_created(key)
            self._doubted[key] = owner
        return frozenset(self._creations.get(owner, ()))

    def doubted(self, owner: str) -> list[Key]:
        """Return the objects of an owner that were not seen in time, in the order of their creation."""
        return [key for key, whose in self._doubted.items() if whose == owner]

    def deleted(self, uid: str, *, now: float) -> bool:
        """Whether the object with this uid goes as far as we know, though the watch is silent."""
        deadline = self._deletions.get(uid)
        if deadline is not None and deadline <= now:
            del self._deletions[uid]
            return False
        return deadline is not None
