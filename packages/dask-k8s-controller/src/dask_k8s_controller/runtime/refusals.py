"""Which writes of each object fail, and since when. No I/O.

A write may fail for a reason that passes in a moment, such as the election of a leader of etcd, or for one
that lasts, such as an admission webhook that is down. Only time shows which one it is.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plan import Action, Create, Delete, Event, Patch
from dask_k8s_controller.runtime.results import WriteError
from dask_k8s_crds.api_errors import ApiError

LASTING_SECONDS = 1.5
"""A write that still fails after so long will probably not succeed by itself."""
MAX_WRITES = 100
"""How many failing writes of one object are remembered."""
FORGET_SECONDS = 600.0
"""A write that has not been tried for longer counts as a new one."""

_Write = Create | Patch | Delete
_Identity = tuple[type[_Write], Key]


class _Failure(NamedTuple):
    write: _Write
    error: ApiError
    since: float
    last: float

    def as_error(self) -> WriteError:
        return WriteError(self.write, self.error, lasts=self.last - self.since >= LASTING_SECONDS)


@dataclass(slots=True)
class Refusals:
    """The failing writes of each object. Events are left out: nothing depends on them."""

    expectations: Expectations
    _failures: dict[Key, dict[_Identity, _Failure]] = field(default_factory=dict)

    def failed(self, owner: Key, action: Action, error: ApiError, *, now: float) -> WriteError:
        """Remember that a write for the object ``owner`` has failed; return its error."""
        if isinstance(action, Event):
            return WriteError(action, error)
        failures = self._failures.setdefault(owner, {})
        for identity in [each for each, old in failures.items() if old.last + FORGET_SECONDS < now]:
            del failures[identity]
        identity = (type(action), action.key)
        known = failures.get(identity)
        failure = _Failure(action, error, known.since if known else now, now)
        if known or len(failures) < MAX_WRITES:
            failures[identity] = failure
        return failure.as_error()

    def succeeded(self, owner: Key, action: Action) -> None:
        """Forget that a write for an object has failed."""
        failures = self._failures.get(owner)
        if failures is None or isinstance(action, Event):
            return
        failures.pop((type(action), action.key), None)
        if not failures:
            del self._failures[owner]

    def pending(self, owner: Key, uid: str, *, now: float) -> tuple[WriteError, ...]:
        """Return the failed writes for an object that are not repeated yet.

        The API server did not say whether it carried them out, so what they create or delete is still
        expected.
        """
        failures = self._failures.get(owner)
        if failures is None:
            return ()
        created = self.expectations.creations(uid, now=now)
        deleted = self.expectations.expects_deletion
        return tuple(
            each.as_error()
            for each in failures.values()
            if (isinstance(each.write, Create) and each.write.key in created)
            or (isinstance(each.write, Delete) and deleted(each.write.uid, now=now))
        )

    def forget(self, owner: Key) -> None:
        """Drop what is remembered about an object that was deleted."""
        self._failures.pop(owner, None)
