"""The agent's answers as models. An answer that does not fit its model is rejected. No I/O.

Agents and controllers may be of different versions. Therefore fields are only added, and unknown fields are
ignored. Fields of the first version are required. Each later field has a default that means "not known".

Schedulers are not trusted, so each list, mapping and string has a limit, and reading stops at the first
fault; `limits` has the types for fields. The agent merges what is beyond a limit, so that honest answers fit.
"""

from collections.abc import Collection
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dask_k8s_controller.dask.scheduler import limits
from dask_k8s_controller.dask.scheduler.limits import (
    Amount,
    Count,
    Counts,
    PodNames,
    PodReasons,
    PodTimes,
    Resources,
)

A = TypeVar("A", bound="Answer")


REASONS = ("SchedulerUnreachable", "SchedulerSilent", "Unauthorized", "AgentMissing", "BadAnswer")


class AgentError(Exception):
    """The scheduler's agent did not answer, or its answer is invalid.

    Attributes:
        reason: A reason for conditions, one of `REASONS`.
        message: A message that names the scheduler's pod.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Answer(BaseModel):
    """An answer of the agent; fields that a newer agent adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    max_elements: ClassVar[int] = 100
    """The most elements of an answer, also in fields that are ignored."""
    elements_per_pod: ClassVar[int] = 0
    """How many more elements there may be for each pod in the question."""

    @classmethod
    def read(cls, body: bytes, pods: int = 0) -> Self:
        """Parse the answer to a question about so many pods; raise ``ValueError`` with the first fault."""
        value = limits.parse(body, cls.max_elements + pods * cls.elements_per_pod)
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            field = limits.shorten(".".join(map(str, first["loc"]))) or "the answer"
            raise ValueError(f"{field}: {first['msg'].removeprefix('Value error, ')}") from None


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
        pods: How many pods they are in, by worker group; the name is empty where it is not known. None if the
            agent does not report it.
        pinned: How many of these pods have to stay, since others cannot take over what they do: they have
            actors, long tasks or tasks that are restricted to them. None if the agent does not report it.
        pinned_tasks: How many of the tasks no new worker could run.
        pinned_seconds: The estimated duration of those tasks in seconds.
    """

    resources: Resources
    asked: Resources
    busy: Counts
    workers: Count
    idle: Count
    threads: Count
    processing: Count
    occupancy: Amount
    memory: Count
    managed: Count
    memory_limit: Count
    pods: Counts | None = None
    pinned: Counts | None = None
    pinned_tasks: Count = 0
    pinned_seconds: Amount = 0.0


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
        restricted: How many other tasks wait for certain workers or hosts, which no new worker is.
    """

    max_elements = 20_000

    target_duration: Annotated[Amount, Field(gt=0)]
    idle_seconds: Amount | None
    loads: Annotated[tuple[Load, ...], limits.sequence(limits.KINDS)]
    waiting: Annotated[tuple[Waiting, ...], limits.sequence(limits.KINDS)]
    restricted: Count = 0


class Idle(Answer):
    """For how many seconds a scheduler has been idle, None while it is not."""

    idle_seconds: Amount | None


class Known(Answer):
    """Pods whose workers have registered with the scheduler."""

    elements_per_pod = 1

    known: PodNames


class Left(Answer):
    """Pods whose workers have left the scheduler, each with how many seconds ago the last one did."""

    elements_per_pod = 1

    left: PodTimes


class Retired(Answer):
    """Pods by the state of their retirement.

    Attributes:
        gone: Pods that hold no tasks or data any more and may be deleted.
        retiring: Pods that are still moving their data or finishing their tasks.
        stuck: Pods that cannot move their data, each with the reason.
        waiting: Pods that keep their tasks and data until a successor registers.
    """

    elements_per_pod = 4  # reasons may contain commas, and commas are counted

    gone: PodNames = frozenset()
    retiring: PodNames = frozenset()
    stuck: PodReasons = Field(default_factory=dict)
    waiting: PodNames = frozenset()

    def only(self, pods: Collection[str]) -> Self:
        """Return the answer without pods that the scheduler was not asked about."""
        stuck = {pod: reason for pod, reason in self.stuck.items() if pod in pods}
        gone, retiring, waiting = (found & set(pods) for found in (self.gone, self.retiring, self.waiting))
        return type(self)(gone=gone, retiring=retiring, stuck=stuck, waiting=waiting)
