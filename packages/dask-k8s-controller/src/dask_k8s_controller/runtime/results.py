"""Results of a reconcile and of applying a plan: when to reconcile again, which writes failed. No I/O."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from dask_k8s_controller.runtime.plan import Action
from dask_k8s_crds.api_errors import ApiError


class WriteError(ApiError):
    """The API server refused an action of a plan, or did not answer.

    Attributes:
        action: The action.
        lasts: Whether it has failed for some time. A failure that does not last may be an accident.
    """

    def __init__(self, action: Action, error: ApiError, *, lasts: bool = False) -> None:
        super().__init__(**vars(error))  # every field of the error
        self.action = action
        self.lasts = lasts

    @property
    def is_refusal(self) -> bool:
        """Whether users have to know: the API server has decided so, or the write keeps failing."""
        return self.lasts or (self.answered and not self.is_temporary)

    def __str__(self) -> str:
        return f"{self.action}: {super().__str__()}"


@dataclass(frozen=True, slots=True)
class After:
    """Returned by a reconcile that is to run again after some seconds, even if nothing changes until then."""

    seconds: float

    @classmethod
    def of(cls, seconds: float | None) -> Self | None:
        """Return an `After` of this many seconds, or None for None."""
        return None if seconds is None else cls(seconds)

    @staticmethod
    def soonest(*answers: "After | None") -> "After | None":
        """Return the earliest of several, or None if all are None."""
        return min((answer for answer in answers if answer), key=lambda after: after.seconds, default=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What could not be written; each error names its object.

    Attributes:
        errors: The errors that came of applying a plan, in the order of the plan.
        pending: The errors of earlier plans of the object whose writes are not repeated yet.
    """

    errors: tuple[Exception, ...] = ()
    pending: tuple[WriteError, ...] = ()

    @property
    def failures(self) -> tuple[Exception, ...]:
        """All of these errors, that of each action once."""
        actions = {id(error.action) for error in self.errors if isinstance(error, WriteError)}
        return (*self.errors, *(error for error in self.pending if id(error.action) not in actions))

    def __add__(self, other: Self) -> Self:
        """Return the outcome of two plans, the second of which was applied later."""
        return type(self)((*self.errors, *other.errors), other.pending)

    def without(self, errors: Collection[Exception]) -> Self:
        """Return the outcome without these errors."""
        left = tuple(error for error in self.errors if error not in errors)
        return type(self)(left, self.pending)

    def raise_errors(self) -> None:
        """Raise all errors as one group, so that the key is retried with back-off."""
        if failures := self.failures:
            raise ExceptionGroup("not all could be written", failures)


def flattened(error: Exception) -> list[Exception]:
    """Return the errors of nested groups as one list."""
    if isinstance(error, ExceptionGroup):
        return [each for nested in error.exceptions for each in flattened(nested)]
    return [error]
