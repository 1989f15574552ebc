"""Results of a reconcile and of applying a plan: when to reconcile again, which writes failed. No I/O."""

from dataclasses import dataclass
from typing import Self

from dask_k8s_controller.runtime.plan import Action
from dask_k8s_crds.api_errors import ApiError


class WriteError(Exception):
    """An action that the API server refused; ``error`` has its words."""

    def __init__(self, action: Action, error: ApiError) -> None:
        super().__init__(f"{action}: {error}")
        self.action = action
        self.error = error

    @property
    def in_doubt(self) -> bool:
        """Whether the server may have done it all the same."""
        return not self.error.answered


@dataclass(frozen=True, slots=True)
class After:
    """A reconcile's answer: look again in so many seconds, whatever happens until then."""

    seconds: float

    @classmethod
    def of(cls, seconds: float | None) -> Self | None:
        """Return the answer for so many seconds; None for none."""
        return None if seconds is None else cls(seconds)

    @staticmethod
    def soonest(*answers: "After | None") -> "After | None":
        """Return the earliest of several answers."""
        return min((answer for answer in answers if answer), key=lambda after: after.seconds, default=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan: the errors, in the order of the plan, each naming its object."""

    errors: tuple[Exception, ...] = ()

    def __add__(self, other: Self) -> Self:
        """Return what became of two plans, one after the other."""
        return type(self)((*self.errors, *other.errors))

    def raise_errors(self) -> None:
        """Raise all of them as one group, so that the key comes again after a back-off."""
        if self.errors:
            message = "not all could be written"
            raise ExceptionGroup(message, self.errors)
