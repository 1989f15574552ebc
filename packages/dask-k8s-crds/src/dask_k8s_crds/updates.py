"""The update strategy: how running pods are replaced after their template has changed."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from dask_k8s_crds.model import Closed, Count

_PERCENTAGE = "^([1-9][0-9]?|100)%$"


def _number_or_percentage(value: Any) -> int | str:
    if isinstance(value, str) and value.removesuffix("%").isdecimal() and value.endswith("%"):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1 and value == int(value):
        return int(value)
    raise ValueError("must be a whole number from 1, or a percentage such as 25%")


NumberOrPercentage = Annotated[
    int | str,
    PlainValidator(_number_or_percentage),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "minimum": 1, "pattern": _PERCENTAGE}),
]


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
    max_unavailable: NumberOrPercentage = Field(
        default="25%",
        description=(
            "How many of the desired workers may be missing or not ready, as a number or a percentage of "
            "the group; one may always be."
        ),
    )
    drain_timeout_seconds: Count = Field(
        default=300,
        description="Seconds after which a worker that could not hand over what it holds is replaced anyway.",
    )

    def unavailable(self, replicas: int) -> int:
        """Return how many of `replicas` workers may be missing or not ready."""
        if isinstance(self.max_unavailable, int):
            return self.max_unavailable
        return max(1, replicas * int(self.max_unavailable.removesuffix("%")) // 100)
