"""The update strategy: how running pods are replaced after their template has changed."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from dask_k8s_crds.model import Closed, Count


def _checked(minimum: int, percentages: str) -> PlainValidator:
    """Return the check of a number from ``minimum`` or a percentage that matches a pattern."""

    def check(value: Any) -> int | str:
        if isinstance(value, str) and re.fullmatch(percentages, value):
            return value
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value >= minimum and value == int(value):
            return int(value)
        raise ValueError(f"must be a whole number from {minimum}, or a percentage such as 25%")

    return PlainValidator(check)


def _schema(minimum: int, percentages: str) -> WithJsonSchema:
    return WithJsonSchema({"x-kubernetes-int-or-string": True, "minimum": minimum, "pattern": percentages})


_FROM_0 = (0, "^([0-9]|[1-9][0-9]|100)%$")
_FROM_1 = (1, "^([1-9][0-9]?|100)%$")
NumberOrPercentage = Annotated[int | str, _checked(*_FROM_0), _schema(*_FROM_0)]
PositiveOrPercentage = Annotated[int | str, _checked(*_FROM_1), _schema(*_FROM_1)]


def _part(amount: int | str, replicas: int, *, rounded_up: bool) -> int:
    """Return a number as it is, and a percentage of `replicas` as a whole number."""
    if isinstance(amount, int):
        return amount
    hundredths = replicas * int(amount.removesuffix("%"))
    return -(-hundredths // 100) if rounded_up else hundredths // 100


class UpdateStrategy(Closed):
    """How living pods are replaced after their template has changed."""

    type: Literal["RollingUpdate", "Recreate", "OnDelete"] = Field(
        default="RollingUpdate",
        description=(
            "RollingUpdate: some workers at a time, each after it has handed over what it holds. Recreate: "
            "all at once. OnDelete: none, until somebody deletes it. The scheduler is replaced at once, and "
            "what it knows is lost, unless it is OnDelete."
        ),
    )
    max_unavailable: PositiveOrPercentage = Field(
        default="25%",
        description=(
            "How many of the desired workers may be missing or not ready during a rolling update, as a "
            "number or a percentage of the group, rounded down; at least one where there are no additional "
            "workers."
        ),
    )
    max_surge: NumberOrPercentage = Field(
        default="25%",
        description=(
            "How many workers more than desired there may be during a rolling update, as a number or a "
            "percentage of the group, rounded up. An additional worker takes the data of one that leaves."
        ),
    )
    drain_timeout_seconds: Count = Field(
        default=300,
        description=(
            "Seconds after which a worker that could not hand over what it holds is replaced anyway. If no "
            "other worker can take its data yet, it first waits as long for a successor."
        ),
    )

    def surge(self, replicas: int) -> int:
        """Return how many workers more than `replicas` there may be during a rolling update."""
        if self.type != "RollingUpdate" or replicas == 0:
            return 0
        return _part(self.max_surge, replicas, rounded_up=True)

    def unavailable(self, replicas: int, *, surges: bool = True) -> int:
        """Return how many of `replicas` workers may be missing or not ready.

        ``surges`` is false if no additional worker can come, for example because of a quota.
        """
        least = 0 if surges and self.surge(replicas) else 1
        return max(least, _part(self.max_unavailable, replicas, rounded_up=False))
