"""What a worker group asks the agent in its scheduler. The answers are values for the plan."""

from collections.abc import Sequence

from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.dask.workergroup.retirement import POLL_SECONDS, RETRY_SECONDS, Drain
from dask_k8s_controller.dask.world import Agent
from dask_k8s_controller.runtime.cache import Record


async def retire_workers(drains: Sequence[Drain], agent: Agent | None) -> list[Retired | AgentError]:
    """Retire workers; return an answer per drain.

    Without a scheduler (``agent`` is None) there is no data to save, and all candidates may be deleted.
    """
    return [await _retire(drain.candidates, drain.count, agent) for drain in drains]


async def unregistered_workers(workers: Sequence[Record], agent: Agent | None) -> tuple[Record, ...]:
    """Return which of these workers the scheduler does not know yet; none if it does not answer."""
    if agent is None or not workers:
        return ()
    try:
        known = await agent.known(_addresses(workers))
    except AgentError:
        return ()
    return tuple(pod for pod in workers if pod.key.name not in known)


async def drain_terminating(terminating: Sequence[Record], agent: Agent | None) -> float | None:
    """Retire workers that are being deleted, for example by an eviction, and still run.

    Return when to ask again. They are asked for until they are gone, so that they get no new tasks.
    """
    pods = [pod for pod in terminating if can_drain(pod)]
    if agent is None or not pods:
        return None
    answer = await _retire(pods, len(pods), agent)
    return POLL_SECONDS if isinstance(answer, Retired) and answer.retiring else RETRY_SECONDS


def can_drain(pod: Record) -> bool:
    """Return whether a pod that is being deleted still runs, because of a preStop hook."""
    lasting: bool = pod.deleting and pod.value.has_pre_stop and pod.value.running
    return lasting


async def _retire(pods: Sequence[Record], count: int, agent: Agent | None) -> Retired | AgentError:
    addresses = _addresses(pods)
    if agent is None:
        return Retired(gone=frozenset(addresses))
    try:
        return await agent.retire(addresses, count)
    except AgentError as error:
        return error


def _addresses(pods: Sequence[Record]) -> dict[str, str]:
    return {pod.key.name: pod.value.ip for pod in pods}
