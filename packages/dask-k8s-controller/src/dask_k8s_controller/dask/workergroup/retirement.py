"""How workers leave a group: first they finish their tasks and move their data to other workers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.view import seconds_since
from dask_k8s_controller.dask.scheduler.agent_client import Successors
from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_crds.updates import UpdateStrategy

POLL_SECONDS = 0.5
"""When to ask the scheduler again while workers retire."""
REGISTER_SECONDS = 1.0
"""When to ask the scheduler again while workers that are awaited have not registered."""
RETRY_SECONDS = 5.0
"""When to ask a scheduler again that did not answer, or could not move the data of a worker."""


@dataclass(frozen=True, slots=True)
class Drain:
    """``count`` of these workers are to retire; the scheduler chooses which."""

    candidates: tuple[Record, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """Which workers leave a group next."""

    delete: tuple[Record, ...] = ()
    """Workers with nothing to save, which are deleted at once."""
    drains: tuple[Drain, ...] = ()
    successors: tuple[Record, ...] = ()
    """Ready workers of the current template; a rollout goes on when the scheduler knows them."""
    unregistered: tuple[Record, ...] = ()
    """Successors that the scheduler does not know yet."""
    rollout: UpdateStrategy | None = None
    """The strategy if outdated workers are replaced; only then may draining time out."""
    surge_refused: bool = False
    """Whether a quota refuses the additional workers of a rollout."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The result of a step, by what the scheduler answered."""

    pods: tuple[Record, ...] = ()
    """Workers that may be deleted."""
    retiring: int = 0
    """How many more workers should leave and cannot yet, for the reason in ``finding``."""
    finding: Finding | None = None
    look_again: float | None = None
    surge_refused: bool = False
    """As in the step."""
    draining: tuple[Record, ...] = ()
    """Outdated ones among those that retire: they are deleted when draining takes too long."""


def retirement(
    step: Step, answers: Sequence[Retired | AgentError], now: datetime, successors: Successors
) -> Retirement:
    """Return the result of a step from the answers to its drains; ``successors``: those in the question."""
    pairs = zip(step.drains, answers, strict=True)
    results = [_result(drain, answer, successors) for drain, answer in pairs]
    findings = [result.finding for result in results if result.finding]
    waits = [result.look_again for result in results]
    draining: tuple[Record, ...] = ()
    if step.unregistered:
        findings.insert(0, Finding("WorkersNotRegistered", _not_registered(step.unregistered)))
        waits.append(REGISTER_SECONDS)
    if step.rollout:
        draining = tuple(pod for result in results for pod in result.draining)
        waits += [seconds_left(pod, step.rollout, now) for pod in draining]
    return Retirement(
        pods=(*step.delete, *(pod for result in results for pod in result.pods)),
        retiring=sum(result.retiring for result in results),
        finding=next(iter(findings), None),
        look_again=min((wait for wait in waits if wait is not None), default=None),
        surge_refused=step.surge_refused,
        draining=draining,
    )


def is_overdue(worker: Record, strategy: UpdateStrategy, now: datetime) -> bool:
    """Return whether a worker has been draining for too long."""
    left = seconds_left(worker, strategy, now)
    return left is not None and left <= 0


def seconds_left(worker: Record, strategy: UpdateStrategy, now: datetime) -> float | None:
    """Return for how long a worker may go on draining; None if it has not begun."""
    try:
        return strategy.drain_timeout_seconds - seconds_since(worker.value.draining_since or "", now)
    except (TypeError, ValueError):
        return None


def _result(drain: Drain, answer: Retired | AgentError, successors: Successors) -> Retirement:
    if isinstance(answer, AgentError):
        chosen = sorted(drain.candidates, key=lambda pod: pod.value.draining_since is None)[: drain.count]
        message = f"{_workers(drain.count)} until their data is safe: {answer.message}"
        return Retirement(
            retiring=drain.count,
            finding=Finding(answer.reason, message),
            look_again=RETRY_SECONDS,
            draining=tuple(chosen),
        )
    gone = tuple(pod for pod in drain.candidates if pod.key.name in answer.gone)[: drain.count]
    retiring = drain.count - len(gone)
    if not retiring:
        return Retirement(pods=gone)
    # The time of those that wait for a successor begins when it is there.
    unfinished = answer.retiring | answer.stuck.keys()
    return Retirement(
        pods=gone,
        retiring=retiring,
        finding=_unfinished(answer, retiring, successors),
        look_again=RETRY_SECONDS if answer.stuck else REGISTER_SECONDS if answer.waiting else POLL_SECONDS,
        draining=tuple(pod for pod in drain.candidates if pod.key.name in unfinished)[:retiring],
    )


def _unfinished(answer: Retired, retiring: int, successors: Successors) -> Finding:
    for pod, reason in sorted(answer.stuck.items()):
        return Finding("WorkersStuck", f"{_workers(retiring)}: {pod}: {reason}")
    if answer.waiting:
        number = "1 successor" if successors.count == 1 else f"one of {successors.count} successors"
        message = f"waiting for {number} to take the data of {_names(sorted(answer.waiting))}"
        return Finding("WaitingForSuccessors", message)
    return Finding("Retiring", f"{_workers(retiring)} until their data and tasks are handed over")


def _not_registered(pods: Sequence[Record]) -> str:
    pending = _names([pod.key.name for pod in pods])
    return f"the rollout waits until new workers have registered with the scheduler: {pending}"


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _workers(count: int) -> str:
    return "1 worker stays" if count == 1 else f"{count} workers stay"
