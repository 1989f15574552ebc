"""The agent: a preload of Dask schedulers that answers the controller's questions in JSON.

The controller mounts this one file into every scheduler's pod, where it runs with the user's own image. So
it supports Python 3.9 and distributed 2024.1 or later, and imports only the standard library, dask,
distributed and tornado. It reports what only the scheduler knows, and retires workers; how many workers there
should be is up to the controller. It must not slow the scheduler down: it follows no task transitions, and
looks at each worker once per answer.
"""

# Python 3.9 evaluates no `X | None`, and the names under TYPE_CHECKING do not exist when schedulers run.
from __future__ import annotations

import asyncio
import functools
import hmac
import ipaddress
import json
import logging
import os
import re
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import dask
from dask.utils import parse_timedelta
from distributed.active_memory_manager import ActiveMemoryManagerExtension, RetireWorker
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.preloading import PreloadManager, process_preloads
from tornado.ioloop import PeriodicCallback
from tornado.netutil import bind_sockets
from tornado.web import HTTPError, RequestHandler, stream_request_body

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler, TaskState, WorkerState

BASE = "/dask-k8s/v1"
LEASE = 60.0
"""Seconds after which a retiring worker gets new tasks again, unless the controller repeats its request."""
FINISH = 300.0
"""Seconds that a task may take to finish on a retiring worker."""
LONGEST_WAIT = 5.0
"""Seconds that a request to retire workers may wait for the result."""
LARGEST_BODY = 4 * 2**20
KINDS = 100
"""The most kinds of workers, and kinds of tasks, in an answer; they differ in their Dask resources."""
RESOURCES = 32
"""The most names of Dask resources; the controller refuses answers beyond these limits."""
RESOURCE_NAME = 64
"""The longest name of a Dask resource."""
GROUPS = 1000
"""The most worker groups in an answer."""
GROUP_NAME = 63
"""The longest name of a worker group."""
LARGEST_AMOUNT = 1e18
"""The largest amount of a Dask resource."""
SAMPLE = 1000
"""The most waiting tasks to look at; the result is extrapolated to the others."""
SAMPLE_OF_WORKER = 20
"""The most tasks of a worker to look at."""
LONG = 60.0
"""Seconds after which a running task counts as long. A worker with such a task should stay, since nobody
knows whether the task ends before `FINISH`."""
LOOK_SECONDS = 1.0
"""Interval at which idleness and leases are checked."""
MOVE_SECONDS = 2.0
"""Interval between two rounds of moving data, as in distributed's active memory manager."""
STAYING = (Status.running, Status.paused)
NOT_STARTED = ("ready", "constrained", "waiting", "released", None)
"""States of a task on a worker in which distributed's work stealing may take it away."""
RECALL = "dask-k8s-recall"
"""Prefix of the stimulus ids of our requests to give tasks back."""
GROUP = re.compile(r"((.+)-worker-[0-9a-f]{10})(?:-\d+)?")
"""Names of workers, which contain the names of their pod and group unless users name them otherwise."""

DEPARTURES = 10_000
"""The most workers that have left of which the agent still knows."""
BY_GROUP = ("pods", "pinned")
"""Fields of the load of workers that count pods by worker group; the name is empty if it is not known."""
Kind = frozenset[tuple[str, float]]
"""Dask resources that workers offer, or tasks require."""

logger = logging.getLogger("distributed.dask_k8s_agent")


async def dask_setup(scheduler: Scheduler) -> None:
    """Start the agent; distributed logs what this raises, and goes on."""
    agent = Agent(scheduler)
    scheduler.add_plugin(agent, name=Agent.name)
    scheduler.http_application.add_handlers(".*", [(BASE + "(?:/(.*))?", Route, {"agent": agent})])
    listen_on_ipv6(scheduler)
    agent.user_preloads = load_user_preloads(scheduler)
    for preload in agent.user_preloads:
        await preload.start()


async def dask_teardown(scheduler: Scheduler) -> None:
    """Stop the agent, since the scheduler is about to close."""
    agent = scheduler.plugins.get(Agent.name)
    if isinstance(agent, Agent):
        agent.checks.stop()
        for preload in reversed(agent.user_preloads):
            await preload.teardown()


def listen_on_ipv6(scheduler: Scheduler) -> None:
    """Let the HTTP server listen on IPv6 too: newer versions of distributed take "all addresses" for IPv4."""
    server: Any = scheduler.http_server
    if server.address == "0.0.0.0":  # noqa: S104
        try:
            server.add_sockets(bind_sockets(server.port, "::", socket.AF_INET6))
        except OSError as error:  # it does so already, or the pod has no IPv6
            logger.info("The HTTP server needs no further socket for IPv6: %s", error)


class Agent(SchedulerPlugin):
    """The agent of a scheduler; as a plugin, it learns which workers leave."""

    name = "dask-k8s-agent"

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.idleness = Idleness(scheduler)
        self.retirement = Retirement(scheduler)
        self.departures = Departures()
        self.user_preloads: list[PreloadManager] = []
        self.warned = False
        self.checks = PeriodicCallback(self._check, LOOK_SECONDS * 1000)
        self.checks.start()

    def add_worker(self, scheduler: Scheduler, worker: str, **_kwargs: Any) -> None:
        """Note a worker that has registered."""
        state = scheduler.workers.get(worker)
        if state is not None:
            self.departures.arrive(state)

    def remove_worker(self, scheduler: Scheduler, worker: str, **_kwargs: Any) -> None:  # noqa: ARG002
        """End the retirement of a worker that has left."""
        self.retirement.forget(worker)
        self.departures.leave(worker)

    def admits(self, authorization: str) -> bool:
        """Return whether a request has the controller's token, which may be replaced at any time."""
        try:
            token = Path(os.environ["DASK_K8S_AGENT_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
        except (KeyError, OSError, ValueError):
            token = ""
        if not token and not self.warned:
            logger.warning("No token where DASK_K8S_AGENT_TOKEN_FILE points to: all requests are refused")
        self.warned = not token
        return bool(token) and hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())

    def demand(self) -> dict[str, Any]:
        """Return the answer to ``GET demand``."""
        target = dask.config.get("distributed.adaptive.target-duration")
        return {
            "target_duration": float(parse_timedelta(target)),
            "idle_seconds": self.idleness.seconds(),
            "loads": loads(self.scheduler),
            **waiting(self.scheduler),
        }

    def idle(self) -> dict[str, Any]:
        """Return the answer to ``GET idle``."""
        return {
            "idle_seconds": self.idleness.seconds(),
            "clients": len(self.scheduler.clients.keys() - {"fire-and-forget"}),  # the scheduler's own
            "workers": len(self.scheduler.workers),
        }

    def _check(self) -> None:
        self.idleness.check()
        self.retirement.expire()


# --- work and idleness ---


class Idleness:
    """Since when the scheduler has been idle.

    `Scheduler.check_idle` knows it only if an idle timeout is set, and then closes the scheduler.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.since: float | None = monotonic()
        self.transitions = scheduler.transition_counter
        self.updates = 0
        if not hasattr(scheduler, "_active_graph_updates"):
            # Older schedulers do not count the graphs that they unpack, which may take minutes.
            self._update_graph = scheduler.stream_handlers["update-graph"]
            scheduler.stream_handlers["update-graph"] = self._counted_update_graph

    def check(self) -> None:
        """Check whether anything has happened since the last check."""
        transitions = self.scheduler.transition_counter
        if transitions != self.transitions or self._busy():
            self.since = None
        elif self.since is None:
            self.since = monotonic()
        self.transitions = transitions

    def seconds(self) -> float | None:
        """Return for how long the scheduler has been idle, None while it is not."""
        self.check()
        return None if self.since is None else monotonic() - self.since

    def _busy(self) -> bool:
        scheduler = self.scheduler
        return bool(
            self.updates
            or getattr(scheduler, "_active_graph_updates", 0)
            or scheduler.queued
            or scheduler.unrunnable
            or any(worker.processing for worker in scheduler.workers.values())
        )

    async def _counted_update_graph(self, **message: Any) -> None:
        self.updates += 1
        try:
            await self._update_graph(**message)
        finally:
            self.updates -= 1


@dataclass
class Load:
    """The work of workers that offer the same Dask resources."""

    resources: dict[str, float]
    workers: int = 0
    idle: int = 0
    threads: int = 0
    processing: int = 0
    occupancy: float = 0.0
    memory: int = 0
    managed: int = 0
    memory_limit: int = 0
    asked: dict[str, float] = field(default_factory=dict)
    """How much of each Dask resource the tasks on these workers require that other workers could run."""
    busy: dict[str, int] = field(default_factory=dict)
    """How many workers have tasks, by worker group."""
    pods: dict[str, set[str]] = field(default_factory=dict)
    """The pods of these workers, by worker group."""
    pinned: dict[str, set[str]] = field(default_factory=dict)
    """The pods whose workers have to stay, by worker group."""
    pinned_tasks: float = 0
    """How many of the tasks no other worker could run."""
    pinned_seconds: float = 0.0

    def add(self, worker: WorkerState, *, shuffles: bool) -> None:
        """Add a worker, which may take part in a shuffle."""
        self.workers += 1
        self.idle += not worker.processing
        self.threads += worker.nthreads
        self.processing += len(worker.processing)
        self.occupancy += worker.occupancy
        self.memory += worker.memory.process  # without what is spilled to disk
        self.managed += worker.nbytes  # with what is spilled
        self.memory_limit += worker.memory_limit or 0
        group = GROUP.fullmatch(str(worker.name))
        if group and len(group[2]) > GROUP_NAME:
            group = None
        if group and worker.processing:
            self.busy[group[2]] = self.busy.get(group[2], 0) + 1
        pod, of_group = (group[1], group[2]) if group else (worker.address, "")
        self.pods.setdefault(of_group, set()).add(pod)
        if shuffles or has_to_stay(worker):
            self.pinned.setdefault(of_group, set()).add(pod)
        tasks, share, asked = restricted_part(worker)
        self.pinned_tasks += tasks
        self.pinned_seconds += share * worker.occupancy
        for name, amount in worker.used_resources.items():
            # The scheduler adds and subtracts floats, so that this may be slightly negative.
            if name in self.resources:
                self.asked[name] = within(self.asked.get(name, 0.0) + within(amount - asked.get(name, 0.0)))

    def to_dict(self) -> dict[str, Any]:
        """Return the load in JSON."""
        counts = {
            name: {group: len(pods) for group, pods in getattr(self, name).items()} for name in BY_GROUP
        }
        return {**asdict(self), **counts, "pinned_tasks": round(self.pinned_tasks)}


@dataclass
class Waiting:
    """Tasks that are ready, require the same Dask resources and have no worker."""

    resources: dict[str, float]
    tasks: float = 0
    seconds: float = 0.0


def loads(scheduler: Scheduler) -> list[dict[str, Any]]:
    """Return the work of the workers that are not retiring, by the Dask resources that they offer."""
    staying = [worker for worker in scheduler.workers.values() if worker.status in STAYING]
    kinds = [frozenset(worker.resources.items()) for worker in staying]
    reported = kinds_of_workers(Counter(kinds))
    shuffling = shuffling_workers(scheduler)
    found: dict[Kind, Load] = {}
    for worker, kind in zip(staying, kinds):
        offers = reported[kind]
        load = found.setdefault(offers, Load(dict(offers)))
        load.add(worker, shuffles=worker.address in shuffling)
    keep_most([load.busy for load in found.values()])
    answers = [load.to_dict() for load in found.values()]
    for name in BY_GROUP:
        keep_most_pods([answer[name] for answer in answers])
    return answers


def waiting(scheduler: Scheduler) -> dict[str, Any]:
    """Return the tasks without a worker, by the Dask resources that they require; a sample, if many.

    Those that wait for certain workers or hosts are only counted, since no new worker could run them.
    """
    found: dict[Kind, Waiting] = {}
    restricted = 0.0
    for tasks in (scheduler.queued, scheduler.unrunnable):
        sample = list(islice(tasks, SAMPLE))
        if isinstance(tasks, dict) and len(tasks) > SAMPLE:  # oldest first; older schedulers have a set
            sample = [*islice(tasks, SAMPLE // 2), *islice(reversed(tasks), SAMPLE // 2)]
        for task in sample:
            weight = len(tasks) / len(sample)
            if is_restricted(task):
                restricted += weight
                continue
            needs = task.resource_restrictions or {}
            waits = found.setdefault(frozenset(needs.items()), Waiting(needs))
            waits.tasks += weight
            waits.seconds += duration(scheduler, task) * weight
    return {
        "waiting": [{**asdict(waits), "tasks": round(waits.tasks)} for waits in fewer_waiting(found)],
        "restricted": round(restricted),
    }


def is_restricted(task: TaskState) -> bool:
    """Return whether only certain workers or hosts can run a task, which no new worker is."""
    return bool(task.worker_restrictions or task.host_restrictions) and not task.loose_restrictions


def restricted_part(worker: WorkerState) -> tuple[float, float, dict[str, float]]:
    """Return how many tasks of a worker are restricted, their share of its work, and what they require."""
    sample = list(islice(worker.processing, SAMPLE_OF_WORKER))
    restricted = [task for task in sample if is_restricted(task)]
    if not restricted:
        return 0.0, 0.0, {}
    weight = len(worker.processing) / len(sample)
    seconds = {task: max(task.prefix.duration_average, 0.0) for task in sample}
    whole = sum(seconds.values())
    part = sum(seconds[task] for task in restricted)
    asked: dict[str, float] = {}
    for task in restricted:
        for name, amount in (task.resource_restrictions or {}).items():
            asked[name] = asked.get(name, 0.0) + weight * amount
    return weight * len(restricted), part / whole if whole else len(restricted) / len(sample), asked


def has_to_stay(worker: WorkerState) -> bool:
    """Return whether something is lost if a worker retires although others could do its work.

    It has actors, tasks that no other worker can run, or running tasks that are long or that may be.
    """
    if worker.actors or worker.long_running or any(age > LONG for age in worker.executing.values()):
        return True
    return any(
        is_restricted(task) or not 0 <= task.prefix.duration_average <= LONG
        for task in islice(worker.processing, SAMPLE_OF_WORKER)
    )


def shuffling_workers(scheduler: Scheduler) -> set[str]:
    """Return the addresses of the workers that take part in a shuffle, which starts again if one leaves."""
    plugin = scheduler.plugins.get("shuffle")
    shuffles = getattr(plugin, "active_shuffles", {}).values()
    return set().union(*(shuffle.participating_workers for shuffle in shuffles))


def duration(scheduler: Scheduler, task: TaskState) -> float:
    """Return how long a task will take, by the same estimate as `Scheduler.adaptive_target`."""
    known = task.prefix.duration_average  # -1: unknown
    return known if known >= 0 else scheduler.UNKNOWN_TASK_DURATION


# --- limits of an answer ---


def kinds_of_workers(kinds: Mapping[Kind, int]) -> dict[Kind, Kind]:
    """Return as which kind an answer reports workers of each kind; ``kinds`` are numbers of workers.

    Where each worker has a resource of its own, these rare resources are left out. They say nothing about the
    workers of a group.
    """
    counts: Counter[str] = Counter()
    for kind, count in kinds.items():
        counts.update({name: count for name, _ in kind if len(name) <= RESOURCE_NAME})
    if len(counts) > RESOURCES:
        warn_once(f"More than {RESOURCES} Dask resources: the autoscaler does not see the rarest ones")
    kept = {name for name, _ in counts.most_common(RESOURCES)}
    common = {
        kind: frozenset((name, within(amount)) for name, amount in kind if name in kept) for kind in kinds
    }
    totals: Counter[Kind] = Counter()
    for kind, count in kinds.items():
        totals[common[kind]] += count
    fewer = fewer_kinds(totals, min)
    return {kind: fewer.get(common[kind], frozenset()) for kind in kinds}


def fewer_waiting(found: Mapping[Kind, Waiting]) -> list[Waiting]:
    """Merge waiting tasks of similar kinds, and leave out the rarest ones, if there are too many kinds."""
    usual = {
        kind: waits
        for kind, waits in found.items()
        if len(kind) <= RESOURCES and all(len(name) <= RESOURCE_NAME for name, _ in kind)
    }
    fewer = fewer_kinds({kind: waits.tasks for kind, waits in usual.items()}, max)
    merged: dict[Kind, Waiting] = {}
    for kind, waits in usual.items():
        if kind in fewer:
            asks = {name: within(amount) for name, amount in fewer[kind]}
            total = merged.setdefault(fewer[kind], Waiting(asks))
            total.tasks += waits.tasks
            total.seconds += waits.seconds
    if len(fewer) < len(found):
        warn_once(
            "Tasks wait for too many combinations of Dask resources: the autoscaler sees the most frequent"
        )
    return list(merged.values())


def fewer_kinds(kinds: Mapping[Kind, float], pick: Callable[[float, float], float]) -> dict[Kind, Kind]:
    """Return which kinds to report instead of these; ``kinds`` are frequencies.

    If there are too many, the rarer ones that have the same names of resources become one kind, for which
    ``pick`` chooses amounts. The rarest of these are left out.
    """
    if len(kinds) <= KINDS:
        return {kind: kind for kind in kinds}
    order = sorted(kinds, key=lambda kind: -kinds[kind])
    exact, rarer = order[: KINDS // 2], order[KINDS // 2 :]
    merged: dict[frozenset[str], dict[str, float]] = {}
    for kind in rarer:
        names = frozenset(name for name, _ in kind)
        if names in merged or len(merged) < KINDS // 2 - 1:
            amounts = merged.setdefault(names, dict(kind))
            amounts.update({name: pick(amounts[name], amount) for name, amount in kind})
    similar = {names: frozenset(amounts.items()) for names, amounts in merged.items()}
    named = {kind: frozenset(name for name, _ in kind) for kind in rarer}
    return {kind: kind for kind in exact} | {
        kind: similar[names] for kind, names in named.items() if names in similar
    }


def keep_most(counts: Collection[dict[str, int]], limit: int = GROUPS) -> None:
    """Leave out the groups with the smallest numbers if there are too many; they count as not known."""
    if sum(map(len, counts)) > limit:
        entries = sorted(
            ((number, group, each) for each in counts for group, number in each.items()), key=_number
        )
        for _, group, each in entries[:-limit]:
            del each[group]


def keep_most_pods(counts: Collection[dict[str, int]]) -> None:
    """Count pods of groups that are left out as those of groups that are not known."""
    before = [sum(each.values()) for each in counts]
    keep_most(counts, GROUPS - KINDS)  # there is room for one more in each
    for each, total in zip(counts, before):
        if left_out := total - sum(each.values()):
            each[""] = each.get("", 0) + left_out


def _number(entry: tuple[int, str, dict[str, int]]) -> int:
    return entry[0]


def within(amount: float) -> float:
    """Return an amount that JSON can represent, and that is not negative."""
    return min(amount, LARGEST_AMOUNT) if amount >= 0 else 0.0


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning, the first time."""
    logger.warning(message)


# --- retirement of workers ---


class Refused(HTTPError):
    """A request is answered with this status and this message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.message = message


def parse_body(body: bytes) -> dict[str, Any]:
    """Parse a request about pods, which are IP addresses by name, separated by commas; raise `Refused`."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(request, dict):
        raise Refused(400, "the body is not an object")
    pods = request.get("pods")
    if not isinstance(pods, dict) or not all(pod and isinstance(ip, str) for pod, ip in pods.items()):
        raise Refused(400, "pods: not an object of names and IPs")
    several = request.get("ips", {})  # of pods with more than one, separated by commas
    if not isinstance(several, dict) or not all(isinstance(ips, str) for ips in several.values()):
        raise Refused(400, "ips: not an object of names and IPs")
    request["pods"] = {pod: several.get(pod, ip) for pod, ip in pods.items()}
    return request


@dataclass(frozen=True)
class Successors:
    """How many workers are expected, and for how many seconds a retiring worker waits for the first."""

    count: int = 0
    seconds: float = 0.0


def parse_retire(body: bytes) -> tuple[dict[str, str], int, float, Successors]:
    """Parse the arguments of `Retirement.retire`; raise `Refused`."""
    request = parse_body(body)
    count, wait = request.get("count"), request.get("wait", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise Refused(400, "count: not a number of pods")
    if not isinstance(wait, (int, float)) or isinstance(wait, bool) or not 0 <= wait <= LONGEST_WAIT:
        raise Refused(400, f"wait: not a number of seconds from 0 to {LONGEST_WAIT:g}")
    return request["pods"], count, wait, parse_successors(request.get("successors", {}))


def parse_successors(successors: Any) -> Successors:
    """Parse the workers that the controller expects; an older controller does not name any."""
    if not isinstance(successors, dict):
        raise Refused(400, "successors: not an object")
    count, seconds = successors.get("count", 0), successors.get("seconds", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise Refused(400, "successors.count: not a number of workers")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds >= 0:
        raise Refused(400, "successors.seconds: not a number of seconds")
    return Successors(count, seconds)


@dataclass
class RetiringWorker:
    """The state of a retiring worker."""

    since: float
    lease: float = 0.0
    """Until when it retires unless the request is repeated."""
    recalled: set[Any] = field(default_factory=set)
    """Keys of the tasks that it has been asked to give back."""
    policy: RetireWorker | None = None
    """The memory manager's policy that moves its data."""
    stuck: str = ""
    """Why it cannot retire; empty if it can."""
    alone_since: float | None = None
    """Since when it has waited for a successor, because no other worker stays."""
    waits: bool = False
    """Whether it keeps its tasks and data until a successor has registered."""


class Departures:
    """Which workers have left: an exit code 0 does not say whether a worker had registered."""

    def __init__(self) -> None:
        self.present: dict[str, tuple[str, str]] = {}
        """Host and name by address."""
        self.times: OrderedDict[tuple[str, str], float] = OrderedDict()
        """When workers left, by host and name; the last to leave comes last."""

    def arrive(self, worker: WorkerState) -> None:
        """Note a worker, of which the scheduler knows nothing any more when it has left."""
        self.present[worker.address] = worker.host, str(worker.name)

    def leave(self, address: str) -> None:
        """Note that a worker has left."""
        known = self.present.pop(address, None)
        if known is not None:
            self.times[known] = monotonic()
            self.times.move_to_end(known)
            if len(self.times) > DEPARTURES:
                self.times.popitem(last=False)

    def seconds(self, pods: Mapping[str, str]) -> dict[str, float]:
        """Return how many seconds ago the last worker of each pod left, for pods that one has left."""
        now, pod_by_ip = monotonic(), by_ip(pods)
        found = {}
        for (host, name), time in self.times.items():
            pod = pod_by_ip.get(ip_address(host)) or pod_by_name(name, pods)
            if pod:
                found[pod] = now - time
        return found


class Retirement:
    """Retiring workers: they start no tasks, give back those they have not started, and move their data.

    As in `Scheduler.retire_workers`, a retiring worker has the status `closing_gracefully`: it starts no task
    and fetches no data (it handles a `PauseEvent`), and gets none, as it is not in the scheduler's `running`.
    `retire_workers` itself is no option: it leaves tasks that are queued at the worker there for good, takes
    a key that two retiring workers hold for safe, and cannot be cancelled. Its policy `RetireWorker` does
    fit: the running worker that uses the least memory fetches a key, and then its own copy is dropped.

    Whether a worker has retired depends only on where tasks and keys are now, not on earlier requests. So
    overlapping requests do no harm: each sees the same workers and continues their retirement.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.workers: dict[str, RetiringWorker] = {}
        self.moved = -MOVE_SECONDS
        # A memory manager of our own, as `Scheduler.retire_workers` creates one if there is none.
        self.mover = ActiveMemoryManagerExtension(
            scheduler, policies=set(), register=False, start=False, interval=MOVE_SECONDS
        )
        self._steal_response = scheduler.stream_handlers.get("steal-response")
        scheduler.stream_handlers["steal-response"] = self._task_given_back

    async def retire(
        self, pods: Mapping[str, str], count: int, wait: float, successors: Successors
    ) -> dict[str, Any]:
        """Retire the workers of ``count`` pods; return when all have retired, or after ``wait`` seconds.

        While no other worker stays, they wait for one of the expected ``successors``.
        """
        deadline = monotonic() + wait
        workers = self._by_pod(pods)
        shuffling = shuffling_workers(self.scheduler)
        chosen = sorted(workers, key=lambda pod: (*self._rank(workers[pod], shuffling), pod))[:count]
        for worker in (worker for pod in chosen for worker in workers[pod]):
            if worker.address in self.workers and self.workers[worker.address].stuck:
                self.forget(worker.address)  # try again
        pause = 0.02
        while True:
            workers = self._by_pod(pods)  # again, since workers come and go
            answer = self._advance({pod: workers[pod] for pod in chosen}, successors)
            left = deadline - monotonic()
            if len(answer["gone"]) == len(chosen) or left <= 0:
                return answer
            await asyncio.sleep(min(pause, left))
            pause = min(1.5 * pause, 0.5)

    def known(self, pods: Mapping[str, str]) -> list[str]:
        """Return the pods with a registered worker that is not retiring."""
        found = self._by_pod(pods)
        return [pod for pod, own in found.items() if any(worker.status in STAYING for worker in own)]

    def expire(self) -> None:
        """Give tasks again to workers that nobody has asked to retire for the time of a lease."""
        for address, state in list(self.workers.items()):
            if monotonic() > state.lease:
                self.forget(address)
                worker = self.scheduler.workers.get(address)
                if worker is not None and worker.status == Status.closing_gracefully:
                    self._set_status(worker, Status.running)

    def forget(self, address: str) -> None:
        """Drop the state of a retiring worker."""
        if state := self.workers.pop(address, None):
            self._stop_moving(state)

    def _stop_moving(self, state: RetiringWorker) -> None:
        if state.policy is not None:
            self.mover.policies.discard(state.policy)
            state.policy = None

    def _by_pod(self, pods: Mapping[str, str]) -> dict[str, list[WorkerState]]:
        pod_by_ip = by_ip(pods)
        found: dict[str, list[WorkerState]] = {pod: [] for pod in pods}
        for worker in self.scheduler.workers.values():
            pod = pod_by_ip.get(ip_address(worker.host)) or pod_by_name(str(worker.name), pods)
            if pod:
                found[pod].append(worker)
        return found

    def _rank(self, workers: list[WorkerState], shuffling: Collection[str]) -> tuple[int, int]:
        """Return a sort key for a pod by its workers: those that lose least come first."""
        data = sum(worker.nbytes for worker in workers)
        if not workers:
            return 0, data
        if any(worker.actors for worker in workers):
            return 6, data  # they cannot be moved
        if any(worker.address in self.workers for worker in workers):
            return (1 if all(map(self._has_retired, workers)) else 2), data
        if any(worker.address in shuffling or has_to_stay(worker) for worker in workers):
            return 5, data
        return (4 if any(worker.processing for worker in workers) else 3), data

    def _advance(self, pods: Mapping[str, Collection[WorkerState]], successors: Successors) -> dict[str, Any]:
        """Continue the retirement of the workers in these pods; return the state of each pod."""
        workers = {worker for pod in pods.values() for worker in pod}
        present = (each for each in self.scheduler.workers.values() if each not in workers)
        others = [other for other in present if other.status in (Status.init, *STAYING)]
        is_alone = not any(
            other.status in STAYING for other in others
        )  # one that registers takes no data yet
        has_recipients = any(other.status == Status.running for other in others)
        for worker in workers:
            state = self.workers.setdefault(worker.address, RetiringWorker(since=monotonic()))
            state.lease = monotonic() + LEASE
            if not is_alone:
                state.alone_since = None
            state.waits = is_alone and self._waits(worker, state, successors)
            # If no worker stays or comes, the cluster is scaled to zero, and its data is not saved.
            holds = bool(others) and holds_last_copy(worker)
            if holds and not state.stuck and not state.waits:
                state.stuck = why_stuck(worker, state, has_recipients=has_recipients)
            if not state.stuck and not state.waits:
                self._drain(worker, state, holds=holds)
            elif worker.status == Status.closing_gracefully:
                self._set_status(worker, Status.running)
        if self.mover.policies and monotonic() >= self.moved + MOVE_SECONDS:
            self.moved = monotonic()
            self.mover.run_once()
        answer: dict[str, Any] = {"gone": [], "retiring": [], "stuck": {}, "waiting": []}
        for pod, own in pods.items():
            states = [self.workers[worker.address] for worker in own]
            reasons = [state.stuck for state in states]
            if any(reasons):
                answer["stuck"][pod] = next(filter(None, reasons))
            elif any(state.waits for state in states):
                answer["waiting"].append(pod)
            else:
                gone = not others or all(map(self._has_retired, own))
                answer["gone" if gone else "retiring"].append(pod)
        return answer

    def _waits(self, worker: WorkerState, state: RetiringWorker, successors: Successors) -> bool:
        """Return whether a worker has to wait for a successor, which takes over its tasks and data."""
        if not successors.count or not (worker.processing or worker.has_what):
            return False
        now = monotonic()
        if state.alone_since is None:
            state.alone_since = now
        if now >= state.alone_since + successors.seconds:
            return False
        state.since = now  # its tasks have their full time once it retires
        self._stop_moving(state)
        return True

    def _drain(self, worker: WorkerState, state: RetiringWorker, *, holds: bool) -> None:
        """Ask a worker for the tasks that it has not started; have its data moved if it ``holds`` any."""
        if worker.status in STAYING:
            self._set_status(worker, Status.closing_gracefully)
        for task in worker.processing:
            if task.key not in state.recalled:
                state.recalled.add(task.key)
                recall = {"op": "steal-request", "key": task.key, "stimulus_id": f"{RECALL}-{monotonic()}"}
                self.scheduler.worker_send(worker.address, recall)
        if holds and state.policy not in self.mover.policies:
            state.policy = RetireWorker(worker.address)
            self.mover.add_policy(state.policy)

    def _set_status(self, worker: WorkerState, status: Status) -> None:
        logger.info("Worker %s at %s is to be %s", worker.name, worker.address, status.name)
        stimulus = f"dask-k8s-{status.name}-{monotonic()}"
        message = {"op": "worker-status-change", "status": status.name, "stimulus_id": stimulus}
        self.scheduler.worker_send(worker.address, message)
        # The scheduler must know now: it would use the old status until the worker has confirmed the new one.
        self.scheduler.handle_worker_status_change(status, worker, stimulus)

    def _task_given_back(
        self, *, key: Any, state: str | None, stimulus_id: str, worker: str, **more: Any
    ) -> None:
        """Reschedule a task that a retiring worker has not started and gives back.

        With its answer the worker drops the task, in order with its other messages. Rescheduling without
        having asked would execute a task twice that the worker is executing.
        """
        if not stimulus_id.startswith(RECALL):
            if self._steal_response is not None:
                self._steal_response(key=key, state=state, stimulus_id=stimulus_id, worker=worker, **more)
            return
        task = self.scheduler.tasks.get(key)
        owner = None if task is None else task.processing_on
        if owner is not None and owner.address == worker and state in NOT_STARTED:
            if worker in self.workers:
                self.workers[worker].recalled.discard(key)
            self.scheduler.transitions({key: "released"}, stimulus_id)

    def _has_retired(self, worker: WorkerState) -> bool:
        state = self.workers.get(worker.address)
        if state is None or worker.status in STAYING:
            return False
        finished = not worker.processing or monotonic() > state.since + FINISH
        return finished and not holds_last_copy(worker)


def ip_address(text: str) -> str:
    """Return an IP address in a form that can be compared: IPv6 has many, and may have a scope."""
    if ":" not in text:
        return text
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return text
    return str(address.ipv4_mapped or address)


def by_ip(pods: Mapping[str, str]) -> dict[str, str]:
    """Return pods by their IP addresses, without addresses that several share."""
    own = [(ip_address(ip), pod) for pod, ips in pods.items() for ip in ips.split(",")]
    shared = Counter(ip for ip, _ in own)
    return {ip: pod for ip, pod in own if ip and shared[ip] == 1}


def pod_by_name(name: str, pods: Mapping[str, str]) -> str | None:
    """Return the pod that a worker is named after; `dask worker --nworkers` adds a dash and a number."""
    while name and name not in pods:
        name = name.rpartition("-")[0]
    return name or None


def holds_last_copy(worker: WorkerState) -> bool:
    """Return whether a worker holds a key that no staying worker holds."""
    return any(
        not any(other is not worker and other.status in STAYING for other in task.who_has or ())
        for task in worker.has_what
    )


def why_stuck(worker: WorkerState, state: RetiringWorker, *, has_recipients: bool) -> str:
    """Return why the data of a worker cannot be moved; empty if it can."""
    if worker.actors:
        return "it holds actors, which cannot be moved"
    if not has_recipients or (state.policy is not None and state.policy.no_recipients):
        return "no other worker can take its data: they are paused or on their way out"
    return ""


# --- the user's preloads ---


def load_user_preloads(scheduler: Scheduler) -> list[PreloadManager]:
    """Load the preloads that the agent's configuration overrides; log those that fail."""
    loaded = []
    try:
        preloads = user_preloads(scheduler)
    except Exception:
        logger.exception("Failed to find out which other preloads there are")
        preloads = []
    for name, argv in preloads:
        try:
            loaded.append(process_preloads(scheduler, name, argv))
        except Exception:
            logger.exception("Failed to load preload: %s", name)
    return loaded


def user_preloads(scheduler: Scheduler) -> list[tuple[str, list[str]]]:
    """Return the preloads with their arguments that distributed would load without the agent."""
    loaded = [preload.name for preload in scheduler.preloads]
    if loaded != as_list(dask.config.get("distributed.scheduler.preload")):
        return []  # they are named on the command line, which makes distributed ignore its configuration
    renamed = [name for name in ("PRELOAD", "PRELOAD_ARGV") if f"DASK_K8S_{name}" in os.environ]
    users = {f"DASK_DISTRIBUTED__SCHEDULER__{name}": os.environ[f"DASK_K8S_{name}"] for name in renamed}
    files = dask.config.collect_yaml(dask.config.paths)
    config = dask.config.merge(*files, dask.config.collect_env(users))
    names = as_list(dask.config.get("distributed.scheduler.preload", None, config=config))
    argv = as_list(dask.config.get("distributed.scheduler.preload-argv", None, config=config))
    if not argv or isinstance(argv[0], str):
        argv = [argv] * len(names)
    if len(argv) != len(names):
        raise ValueError(f"{len(names)} preloads and {len(argv)} lists of arguments")
    return [(name, arguments) for name, arguments in zip(names, argv) if name not in loaded]


def as_list(value: Any) -> list[Any]:
    """Return a configured value as a list; a string is one entry."""
    return [value] if isinstance(value, str) and value else list(value or ())


# --- HTTP ---


@stream_request_body  # `prepare` runs before the body is read, so that only the controller can send one
class Route(RequestHandler):
    """The handler of all routes of the agent."""

    def initialize(self, agent: Agent) -> None:
        """Take the arguments that the route was registered with."""
        self.agent = agent
        self.body = bytearray()

    def prepare(self) -> None:
        """Check the token and the size of the body."""
        if not self.agent.admits(self.request.headers.get("Authorization", "")):
            raise Refused(401, "the token is missing or wrong")
        if int(self.request.headers.get("Content-Length", "0")) > LARGEST_BODY:
            raise Refused(413, f"more than {LARGEST_BODY} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Collect the body, whose length need not be known."""
        self.body += chunk
        if len(self.body) > LARGEST_BODY:
            raise Refused(413, f"more than {LARGEST_BODY} bytes")

    def get(self, route: str | None) -> None:
        """Answer ``GET demand`` and ``GET idle``."""
        if route not in ("demand", "idle"):
            raise Refused(404, "nothing to get here")
        self.finish(self.agent.demand() if route == "demand" else self.agent.idle())

    async def post(self, route: str | None) -> None:
        """Answer ``POST retire``, ``POST known`` and ``POST left``."""
        retirement, body = self.agent.retirement, bytes(self.body)
        if route == "retire":
            self.finish(await retirement.retire(*parse_retire(body)))
        elif route == "known":
            self.finish({"known": retirement.known(parse_body(body)["pods"])})
        elif route == "left":
            self.finish({"left": self.agent.departures.seconds(parse_body(body)["pods"])})
        else:
            raise Refused(404, "nothing to post here")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an error in JSON; the traceback is in the scheduler's log."""
        error = kwargs.get("exc_info", (None, None))[1]
        message = error.message if isinstance(error, Refused) else f"{self._reason} ({type(error).__name__})"
        if status_code in (401, 413):
            self.set_header("Connection", "close")  # as tornado does when a body has not been read
        self.finish({"error": message})
