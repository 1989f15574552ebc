"""Who leaves a group, and when: nobody before what they hold in memory is elsewhere, if it can be."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.scheduler.answers import AgentError, Retired
from dask_k8s_controller.dask.workergroup.rollout import Step, is_overdue, seconds_left
from dask_k8s_controller.dask.workergroup.scale import newest_first
from dask_k8s_controller.dask.world import Agent
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_crds.updates import UpdateStrategy

ASK_SECONDS = 0.5
"""While workers hand over, the scheduler is asked again."""
REGISTER_SECONDS = 1.0
"""While new workers have not registered, the scheduler is asked again."""
RETRY_SECONDS = 5.0
"""A scheduler that does not answer, or finds no place for the data, is asked again."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """``pods`` may be deleted; ``staying`` should go too, and ``why`` they cannot yet."""

    pods: tuple[Record, ...] = ()
    staying: int = 0
    why: Finding | None = None
    look_again: float | None = None
    draining: tuple[Record, ...] = ()
    """Outdated ones among those that stay: they are replaced anyway when that takes too long."""


async def retire(living: Sequence[Record], surplus: int, agent: Agent | None, digest: str = "") -> Retirement:
    """Choose so many of the living and have them hand over: who does not run yet, who is not ready, the rest.

    Of each kind first those that were made from something else than what has this digest. Among those alike
    the scheduler chooses, who knows what they do and hold. Where there is no scheduler (``agent`` is None)
    there is nothing to save, and the newest go.
    """
    if surplus <= 0:
        return Retirement()
    pods = sorted(newest_first(living), key=lambda pod: not pod.value.outdated(digest))
    leaving = Retirement(pods=tuple(pod for pod in pods if pod.value.phase == "Pending")[:surplus])
    running = [pod for pod in pods if pod.value.phase != "Pending"]
    for ready, outdated in product((False, True), (True, False)):
        alike = [
            pod for pod in running if pod.value.ready is ready and pod.value.outdated(digest) is outdated
        ]
        count = min(surplus - len(leaving.pods) - leaving.staying, len(alike))
        if count > 0:
            leaving = _sum(leaving, await _hand_over(alike, count, agent))
    return dataclasses.replace(leaving, draining=())


async def unregistered(living: Sequence[Record], agent: Agent | None, digest: str) -> tuple[Record, ...]:
    """Return the ready workers made from what has this digest that their scheduler does not know yet.

    Where it cannot say, they count as known: the hand-over to them has its time anyway. So do those that
    share their node's address, by which they cannot be told apart.
    """
    new = [pod for pod in living if pod.value.ready and pod.value.ip and not pod.value.outdated(digest)]
    if agent is None or not new:
        return ()
    try:
        known = await agent.known({pod.key.name: pod.value.ip for pod in new})
    except AgentError:
        return ()
    return tuple(pod for pod in new if pod.key.name not in known)


async def replace(
    step: Step,
    agent: Agent | None,
    strategy: UpdateStrategy,
    now: datetime,
    unregistered: Sequence[Record] = (),
) -> Retirement:
    """Take one step of a rollout; whoever has been handing over for too long goes anyway."""
    leaving = Retirement(pods=step.now)
    if unregistered:
        why = Finding("WorkersNotRegistered", _not_registered(unregistered))
        leaving = Retirement(pods=step.now, why=why, look_again=REGISTER_SECONDS)
    for drain in step.drains:
        overdue = tuple(pod for pod in drain.among if is_overdue(pod, strategy, now))[: drain.count]
        rest = [pod for pod in drain.among if pod not in overdue]
        leaving = _sum(leaving, Retirement(pods=overdue))
        if count := drain.count - len(overdue):
            leaving = _sum(leaving, await _hand_over(rest, count, agent))
    times = (seconds_left(pod, strategy, now) for pod in leaving.draining)
    known = [seconds for seconds in (leaving.look_again, *times) if seconds is not None]
    return dataclasses.replace(leaving, look_again=min(known, default=None))


async def drain_terminating(going: Sequence[Record], agent: Agent | None) -> float | None:
    """Have those hand over whose deletion anybody has begun, an eviction for example, while they linger.

    Return when to ask again: until they are gone, so that they get no new work.
    """
    pods = {pod.key.name: pod.value.ip for pod in going if lingers(pod)}
    if agent is None or not pods:
        return None
    try:
        retired = await agent.retire(pods, len(pods))
    except AgentError:
        return RETRY_SECONDS
    return ASK_SECONDS if retired.retiring else RETRY_SECONDS


def lingers(pod: Record) -> bool:
    """Whether a pod still works though its deletion has begun."""
    held_up: bool = pod.deleting and pod.value.lingers and pod.value.runs
    return held_up


async def _hand_over(alike: Sequence[Record], count: int, agent: Agent | None) -> Retirement:
    if agent is None:
        return Retirement(pods=tuple(alike[:count]))
    pods = {pod.key.name: pod.value.ip for pod in alike}
    try:
        retired = await agent.retire(pods, count)
    except AgentError as error:
        why = Finding(error.reason, f"{_workers(count)} until their data is safe: {error.message}")
        chosen = sorted(alike, key=lambda pod: pod.value.draining is None)[:count]
        return Retirement(staying=count, why=why, look_again=RETRY_SECONDS, draining=tuple(chosen))
    gone = tuple(pod for pod in alike if pod.key.name in retired.gone)[:count]
    staying = count - len(gone)
    if not staying:
        return Retirement(pods=gone)
    draining = tuple(pod for pod in alike if pod.key.name in retired.retiring | retired.stuck.keys())
    return Retirement(
        pods=gone,
        staying=staying,
        why=_why(retired, staying),
        look_again=RETRY_SECONDS if retired.stuck else ASK_SECONDS,
        draining=draining[:staying],
    )


def _why(retired: Retired, staying: int) -> Finding:
    for pod, reason in sorted(retired.stuck.items()):
        return Finding("WorkersStuck", f"{_workers(staying)}: {pod}: {reason}")
    return Finding("Retiring", f"{_workers(staying)} until their data and tasks are handed over")


def _not_registered(pods: Sequence[Record]) -> str:
    which = pods[0].key.name if len(pods) == 1 else f"{pods[0].key.name} and {len(pods) - 1} more"
    return f"the rollout waits until new workers have registered with the scheduler: {which}"


def _workers(count: int) -> str:
    return "1 worker stays" if count == 1 else f"{count} workers stay"


def _sum(first: Retirement, second: Retirement) -> Retirement:
    waits = [wait for wait in (first.look_again, second.look_again) if wait is not None]
    return Retirement(
        pods=first.pods + second.pods,
        staying=first.staying + second.staying,
        why=first.why or second.why,
        look_again=min(waits, default=None),
        draining=first.draining + second.draining,
    )
