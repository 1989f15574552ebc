"""Results of a reconcile and of applying a plan: when to reconcile again, which writes failed. No I/O."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from dask_k8s_controller.runtime.plan import Action
from dask_k8s_crds.api_errors import ApiError


class WriteError(ApiError):
    """The API server refused an action of a plan, or did not answer."""

    def __init__(self, action: Action, error: ApiError) -> None:
        super().__init__(**vars(error))  # every field of the error
        self.action = action

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
    """The errors that came of applying a plan, in the order of the plan; each names its object."""

    errors: tuple[Exception, ...] = ()

    def __add__(self, other: Self) -> Self:
        return type(self)((*self.errors, *other.errors))

    def without(self, errors: Collection[Exception]) -> Self:
        """Return the outcome without these errors."""
        return type(self)(tuple(error for error in self.errors if error not in errors))

    def raise_errors(self) -> None:
        """Raise all errors as one group, so that the key is retried with back-off."""
        if self.errors:
            raise ExceptionGroup("not all could be written", self.errors)


def flattened(error: Exception) -> list[Exception]:
    """Return the errors of nested groups as one list."""
    if isinstance(error, ExceptionGroup):
        return [each for nested in error.exceptions for each in flattened(nested)]
    return [error]
