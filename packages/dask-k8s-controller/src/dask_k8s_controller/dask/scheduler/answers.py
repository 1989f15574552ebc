"""The agent's answers as models. An answer that does not fit its model is rejected. No I/O."""

from collections.abc import Collection, Mapping
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Resources = Mapping[str, Amount]

A = TypeVar("A", bound="Answer")


class AgentError(Exception):
    """The scheduler's agent did not answer, or its answer is invalid.

    Attributes:
        reason: A reason for conditions: ``SchedulerUnreachable``, ``SchedulerSilent``, ``Unauthorized``,
            ``AgentMissing`` or ``BadAnswer``.
        message: A message that names the scheduler's pod.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Answer(BaseModel):
    """An answer of the agent; fields that a newer agent adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse JSON; raise ``ValueError`` that names the first invalid field."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "the whole"
            raise ValueError(f"{field}: {first['msg']}") from None


class Load(Answer):
    """Workers that offer the same Dask resources, and their work; retiring workers are not counted.

    Attributes:
        resources: The Dask resources that each of these workers offers.
        asked: How much of each Dask resource the tasks on these workers require.
        busy: How many workers have tasks, by the name of their worker group as far as it is known.
        workers: How many workers there are.
        idle: How many of them have nothing to do.
        threads: How many threads they have together.
        processing: How many tasks they have.
        occupancy: The estimated duration of these tasks in seconds.
        memory: The memory of the workers' processes in bytes.
        managed: The size of the results that they keep in bytes.
        memory_limit: The sum of their memory limits in bytes, 0 without a limit.
    """

    resources: Resources
    asked: Resources
    busy: Mapping[str, Count]
    workers: Count
    idle: Count
    threads: Count
    processing: Count
    occupancy: Amount
    memory: Count
    managed: Count
    memory_limit: Count


class Waiting(Answer):
    """Tasks that are ready, require the same Dask resources and have no worker.

    Attributes:
        resources: The Dask resources that each task requires.
        tasks: How many tasks there are.
        seconds: Their estimated duration in seconds.
    """

    resources: Resources
    tasks: Count
    seconds: Amount


class Demand(Answer):
    """The work of a scheduler and the workers that it has for it.

    Attributes:
        target_duration: The seconds of work per worker that the scheduler is configured to aim at.
        idle_seconds: For how long the scheduler has been idle, None while it is not.
        loads: The workers and their work, by the Dask resources that they offer.
        waiting: The tasks without a worker, by the Dask resources that they require.
    """

    target_duration: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    idle_seconds: Amount | None
    loads: tuple[Load, ...]
    waiting: tuple[Waiting, ...]


class Idle(Answer):
    """For how many seconds a scheduler has been idle, None while it is not."""

    idle_seconds: Amount | None


class Known(Answer):
    """Pods whose workers have registered with the scheduler."""

    known: frozenset[str]


class Retired(Answer):
    """Pods by the state of their retirement.

    Attributes:
        gone: Pods that hold no tasks or data any more and may be deleted.
        retiring: Pods that are still moving their data or finishing their tasks.
        stuck: Pods that cannot move their data, each with the reason.
        waiting: Pods that keep their tasks and data until a successor registers.
    """

    gone: frozenset[str] = frozenset()
    retiring: frozenset[str] = frozenset()
    stuck: Mapping[str, str] = Field(default_factory=dict)
    waiting: frozenset[str] = frozenset()

    def only(self, pods: Collection[str]) -> Self:
        """Return the answer without pods that the scheduler was not asked about."""
        stuck = {pod: reason for pod, reason in self.stuck.items() if pod in pods}
        gone, retiring, waiting = (found & set(pods) for found in (self.gone, self.retiring, self.waiting))
        return type(self)(gone=gone, retiring=retiring, stuck=stuck, waiting=waiting)
