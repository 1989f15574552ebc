"""What an agent answers, as values. Read once, here; what is no such answer is refused. No I/O."""

from collections.abc import Collection, Mapping
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Resources = Mapping[str, Amount]

A = TypeVar("A", bound="Answer")


class AgentError(Exception):
    """The scheduler's agent did not answer, or answered nonsense.

    ``reason`` is a word for conditions: ``SchedulerUnreachable``, ``SchedulerSilent``, ``Unauthorized``,
    ``AgentMissing`` or ``BadAnswer``; ``message`` is a sentence that names the scheduler's pod.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Answer(BaseModel):
    """An answer of the agent; a newer agent may say more than we know."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read JSON; raise ``ValueError`` that names the first field that is wrong."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise ValueError(f"{place}: {first['msg']}") from None


class Load(Answer):
    """Workers that offer the same Dask resources, and the work that they have.

    ``asked`` is how much of Dask resources the tasks ask for that these workers have been given, ``busy``
    how many have tasks, by the name of their group where it is known.
    ``occupancy`` is the estimated seconds of that work; ``memory`` and ``memory_limit`` are bytes, the limit
    0 where there is none, and ``managed`` those of results that are kept. ``idle`` of the ``workers`` have
    nothing to do. Those that retire are not counted.
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
    """Tasks that could run, ask for the same Dask resources and have no worker; ``seconds`` is their work."""

    resources: Resources
    tasks: Count
    seconds: Amount


class Demand(Answer):
    """What a scheduler has to do and with what.

    ``target_duration`` is the seconds of work that it is configured to keep per worker; ``idle_seconds``
    tells for how long it has had nothing to do, None while it has.
    """

    target_duration: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    idle_seconds: Amount | None
    loads: tuple[Load, ...]
    waiting: tuple[Waiting, ...]


class Idle(Answer):
    """For how many seconds a scheduler has had nothing to do; None while it has."""

    idle_seconds: Amount | None


class Known(Answer):
    """Pods of which a worker has registered with the scheduler."""

    known: frozenset[str]


class Retired(Answer):
    """Pods by what became of their workers' data.

    Those in ``gone`` may be deleted, those in ``retiring`` hand over, those in ``stuck`` could not, and why.
    """

    gone: frozenset[str] = frozenset()
    retiring: frozenset[str] = frozenset()
    stuck: Mapping[str, str] = Field(default_factory=dict)

    def among(self, pods: Collection[str]) -> Self:
        """Return what it says of these pods: a scheduler has no say in any other."""
        stuck = {pod: why for pod, why in self.stuck.items() if pod in pods}
        return self.model_copy(
            update={"gone": self.gone & set(pods), "retiring": self.retiring & set(pods), "stuck": stuck}
        )
