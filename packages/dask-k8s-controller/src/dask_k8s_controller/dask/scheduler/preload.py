"""The agent: what the controller has running inside each Dask scheduler, a preload that answers in JSON.

One file on its own: whatever Python (3.9 or later) and distributed (2024.1 or later) the user's image has
will load it, so it imports the standard library, dask, distributed and tornado, and nothing of ours.
It knows what only a scheduler knows: how busy it is, and how a worker hands over its data. How many workers
there should be, the controller decides. It is a guest: it hangs on no transition of a task, and takes for an
answer as long as it takes to look at each worker once.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import dask
from dask.utils import parse_timedelta
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.preloading import PreloadManager, process_preloads
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError, RequestHandler, stream_request_body

if TYPE_CHECKING:
    from distributed.active_memory_manager import ActiveMemoryManagerExtension, RetireWorker
    from distributed.scheduler import Scheduler, TaskState, WorkerState

BASE = "/dask-k8s/v1"
LEASE = 60.0
"""Seconds after which a worker works again, unless it has been asked once more to retire."""
FINISH = 300.0
"""Seconds that a task may take to finish on a worker that is on its way out."""
LONGEST_WAIT = 5.0
LARGEST_BODY = 4 * 2**20
SAMPLE = 1000
"""So many waiting tasks are looked at; the others are taken to be like them."""
LOOK_SECONDS = 1.0
MOVE_SECONDS = 2.0
"""Between two rounds of moving data, as in distributed's own memory manager."""
STAYING = (Status.running, Status.paused)
NOT_BEGUN = ("ready", "constrained", "waiting", "released", None)
"""What a worker says of a task that it does not execute: what distributed's work stealing takes for a yes."""
RECALL = "dask-k8s-recall"
GROUP = re.compile(r"(.+)-worker-[0-9a-f]{10}(?:-\d+)?")
"""Pods, and so workers, have the name of their group in theirs, unless their users name them otherwise."""

logger = logging.getLogger("distributed.dask_k8s_agent")


async def dask_setup(scheduler: Scheduler) -> None:
    """Begin to answer. What this raises, distributed logs, and goes on."""
    agent = Agent(scheduler)
    scheduler.add_plugin(agent, name=Agent.name)
    scheduler.http_application.add_handlers(".*", [(BASE + "(?:/(.*))?", Route, {"agent": agent})])
    agent.hidden = load_hidden_preloads(scheduler)
    for preload in agent.hidden:
        await preload.start()


async def dask_teardown(scheduler: Scheduler) -> None:
    """Stop; the scheduler is about to close."""
    agent = scheduler.plugins.get(Agent.name)
    if isinstance(agent, Agent):
        agent.looking.stop()
        for preload in reversed(agent.hidden):
            await preload.teardown()


class Agent(SchedulerPlugin):
    """One scheduler's agent; a plugin, to hear of workers that are gone."""

    name = "dask-k8s-agent"

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.quiet = Quiet(scheduler)
        self.retirement = Retirement(scheduler)
        self.hidden: list[PreloadManager] = []
        self.complained = False
        self.looking = PeriodicCallback(self._look, LOOK_SECONDS * 1000)
        self.looking.start()

    def remove_worker(self, scheduler: Scheduler, worker: str, **_kwargs: Any) -> None:  # noqa: ARG002
        """Forget a worker that is gone."""
        self.retirement.forget(worker)

    def admits(self, authorization: str) -> bool:
        """Return whether a request comes from the controller. The token may be replaced at any time."""
        try:
            token = Path(os.environ["DASK_K8S_AGENT_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
        except (KeyError, OSError, ValueError):
            token = ""
        if not token and not self.complained:
            logger.warning("No token where DASK_K8S_AGENT_TOKEN_FILE points to: all requests are refused")
        self.complained = not token
        return bool(token) and hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())

    def demand(self) -> dict[str, Any]:
        """Answer `GET demand`."""
        return {
            "target_duration": float(
                parse_timedelta(dask.config.get("distributed.adaptive.target-duration"))
            ),
            "idle_seconds": self.quiet.seconds(),
            "loads": loads(self.scheduler),
            "waiting": waiting(self.scheduler),
        }

    def idle(self) -> dict[str, Any]:
        """Answer `GET idle`."""
        return {
            "idle_seconds": self.quiet.seconds(),
            "clients": len(self.scheduler.clients.keys() - {"fire-and-forget"}),  # the scheduler's own
            "workers": len(self.scheduler.workers),
        }

    def _look(self) -> None:
        self.quiet.look()
        self.retirement.expire()


# --- how busy the scheduler is ---


class Quiet:
    """Since when the scheduler has had nothing to do.

    `Scheduler.check_idle` knows it, but only where an idle timeout is set, and then closes the scheduler.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.since: float | None = monotonic()
        self.transitions = scheduler.transition_counter
        self.updates = 0
        if not hasattr(scheduler, "_active_graph_updates"):
            # An older scheduler does not know that it unpacks a graph, which may take a thread minutes.
            self._update_graph = scheduler.stream_handlers["update-graph"]
            scheduler.stream_handlers["update-graph"] = self._counted_update_graph

    def look(self) -> None:
        """Notice whether anything has happened since the last look."""
        transitions = self.scheduler.transition_counter
        if transitions != self.transitions or self._busy():
            self.since = None
        elif self.since is None:
            self.since = monotonic()
        self.transitions = transitions

    def seconds(self) -> float | None:
        """Return for how long there has been nothing to do; None while there is."""
        self.look()
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
    """What the workers are doing that offer the same Dask resources."""

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
    """Of Dask resources, by the tasks that the workers have."""
    busy: dict[str, int] = field(default_factory=dict)
    """Workers with tasks, by their group."""

    def add(self, worker: WorkerState) -> None:
        """Count a worker."""
        self.workers += 1
        self.idle += not worker.processing
        self.threads += worker.nthreads
        self.processing += len(worker.processing)
        self.occupancy += worker.occupancy
        self.memory += worker.memory.process  # managed and unmanaged; what is spilled is on disk
        self.managed += worker.nbytes  # results, also those that are spilled
        self.memory_limit += worker.memory_limit or 0
        group = GROUP.fullmatch(str(worker.name))
        if group and worker.processing:
            self.busy[group[1]] = self.busy.get(group[1], 0) + 1
        for name, amount in worker.used_resources.items():
            # The scheduler adds and subtracts, which may leave a little less than nothing.
            self.asked[name] = self.asked.get(name, 0.0) + max(amount, 0.0)


@dataclass
class Waiting:
    """Tasks that ask for the same Dask resources, are ready, and have no worker."""

    resources: dict[str, float]
    tasks: float = 0
    seconds: float = 0.0


def loads(scheduler: Scheduler) -> list[dict[str, Any]]:
    """Return what the workers do that are not on their way out."""
    found: dict[frozenset[tuple[str, float]], Load] = {}
    for worker in scheduler.workers.values():
        if worker.status in STAYING:
            found.setdefault(frozenset(worker.resources.items()), Load(worker.resources)).add(worker)
    return [asdict(load) for load in found.values()]


def waiting(scheduler: Scheduler) -> list[dict[str, Any]]:
    """Return what waits; of many tasks some are looked at and speak for all."""
    found: dict[frozenset[tuple[str, float]], Waiting] = {}
    for tasks in (scheduler.queued, scheduler.unrunnable):
        sample = list(islice(tasks, SAMPLE))
        if isinstance(tasks, dict) and len(tasks) > SAMPLE:  # oldest first; older schedulers have a set
            sample = [*islice(tasks, SAMPLE // 2), *islice(reversed(tasks), SAMPLE // 2)]
        for task in sample:
            needs = task.resource_restrictions or {}
            waits = found.setdefault(frozenset(needs.items()), Waiting(needs))
            waits.tasks += len(tasks) / len(sample)
            waits.seconds += duration(scheduler, task) * len(tasks) / len(sample)
    return [{**asdict(waits), "tasks": round(waits.tasks)} for waits in found.values()]


def duration(scheduler: Scheduler, task: TaskState) -> float:
    """Return how long a task will take, as `Scheduler.adaptive_target` sees it."""
    known = task.prefix.duration_average  # -1: nothing like it has been seen
    return known if known >= 0 else scheduler.UNKNOWN_TASK_DURATION


# --- how workers leave ---


class Malformed(ValueError):
    """A request is not what it should be."""


def read_question(body: bytes) -> dict[str, Any]:
    """Parse a question about pods, given with their IPs; `Malformed` names what is wrong."""
    try:
        question = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(question, dict):
        raise Malformed("the body is not an object")
    pods = question.get("pods")
    if not isinstance(pods, dict) or not all(pod and isinstance(ip, str) for pod, ip in pods.items()):
        raise Malformed("pods: not an object of names and IPs")
    return question


@dataclass(frozen=True)
class Wish:
    """A request to retire so many of these pods, given with their IPs."""

    pods: Mapping[str, str]
    count: int
    wait: float

    @classmethod
    def read(cls, body: bytes) -> Wish:
        """Parse a request; `Malformed` names what is wrong."""
        wish = read_question(body)
        count, wait = wish.get("count"), wish.get("wait", 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise Malformed("count: not a number of pods")
        if not isinstance(wait, (int, float)) or isinstance(wait, bool) or not 0 <= wait <= LONGEST_WAIT:
            raise Malformed(f"wait: not a number of seconds from 0 to {LONGEST_WAIT:g}")
        return cls(wish["pods"], count, wait)


@dataclass
class Leaving:
    """A worker on its way out."""

    since: float
    lease: float = 0.0
    asked: set[Any] = field(default_factory=set)
    """Keys of the tasks that the worker has been asked to give back."""
    moving: RetireWorker | None = None
    stuck: str = ""
    """Why it could not leave when it was last asked to."""


class Retirement:
    """Workers on their way out, and how they get there.

    They are told as `Scheduler.retire_workers` tells them, by the status `closing_gracefully`: a worker in it
    begins no task and fetches no data (it handles a `PauseEvent`), and it gets none, as it is not in the
    scheduler's `running`. `retire_workers` itself will not do: what is queued at the worker it leaves there
    for good, a key that two retiring workers hold it takes for safe, and it cannot be called off. The policy
    behind it, `RetireWorker`, will: it has the running worker that uses the least memory fetch a key, and the
    copy here dropped once there is another.

    That a worker is gone is never concluded from what it was asked, only from where the keys are now. So
    requests that overlap do no harm: each sees the same workers and pushes them on.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.leaving: dict[str, Leaving] = {}
        self.moved = -MOVE_SECONDS
        self._mover: ActiveMemoryManagerExtension | None = None
        self._steal_response = scheduler.stream_handlers.get("steal-response")
        scheduler.stream_handlers["steal-response"] = self._answered

    async def retire(self, wish: Wish) -> dict[str, Any]:
        """Have workers leave; return what came of it as soon as all are gone, or else after the wait."""
        deadline = monotonic() + wish.wait
        workers = self._workers(wish.pods)
        chosen = sorted(workers, key=lambda pod: (*self._rank(workers[pod]), pod))[: wish.count]
        for worker in (worker for pod in chosen for worker in workers[pod]):
            if worker.address in self.leaving and self.leaving[worker.address].stuck:
                self.forget(worker.address)  # it gets another try
        pause = 0.02
        while True:
            workers = self._workers(wish.pods)  # again: one may have gone, or come
            answer = self._advance({pod: workers[pod] for pod in chosen})
            left = deadline - monotonic()
            if len(answer["gone"]) == len(chosen) or left <= 0:
                return answer
            await asyncio.sleep(min(pause, left))
            pause = min(1.5 * pause, 0.5)

    def known(self, pods: Mapping[str, str]) -> list[str]:
        """Return the pods of which a worker has registered, and stays."""
        found = self._workers(pods)
        return [pod for pod, own in found.items() if any(worker.status in STAYING for worker in own)]

    def expire(self) -> None:
        """Let those work again whom nobody asks to leave any more."""
        for address, leaving in list(self.leaving.items()):
            if monotonic() > leaving.lease:
                self.forget(address)
                worker = self.scheduler.workers.get(address)
                if worker is not None and worker.status == Status.closing_gracefully:
                    self._tell(worker, Status.running)

    def forget(self, address: str) -> None:
        """Drop what is known of a worker on its way out."""
        leaving = self.leaving.pop(address, None)
        if leaving is not None and leaving.moving is not None:
            self.mover.policies.discard(leaving.moving)

    @property
    def mover(self) -> ActiveMemoryManagerExtension:
        """A memory manager of our own, as `Scheduler.retire_workers` makes one where there is none."""
        if self._mover is None:
            from distributed.active_memory_manager import ActiveMemoryManagerExtension  # noqa: PLC0415

            self._mover = ActiveMemoryManagerExtension(
                self.scheduler, policies=set(), register=False, start=False, interval=MOVE_SECONDS
            )
        return self._mover

    def _workers(self, pods: Mapping[str, str]) -> dict[str, list[WorkerState]]:
        shared = Counter(pods.values())
        pod_by_ip = {ip: pod for pod, ip in pods.items() if ip and shared[ip] == 1}
        found: dict[str, list[WorkerState]] = {pod: [] for pod in pods}
        for worker in self.scheduler.workers.values():
            pod = pod_by_ip.get(worker.host) or pod_by_name(str(worker.name), pods)
            if pod:
                found[pod].append(worker)
        return found

    def _rank(self, workers: list[WorkerState]) -> tuple[int, int]:
        data = sum(worker.nbytes for worker in workers)
        if not workers:
            return 0, data
        if any(worker.actors for worker in workers):
            return 5, data  # they cannot be moved
        if any(worker.address in self.leaving for worker in workers):
            return (1 if all(map(self._is_gone, workers)) else 2), data
        return (4 if any(worker.processing for worker in workers) else 3), data

    def _advance(self, pods: Mapping[str, Collection[WorkerState]]) -> dict[str, Any]:
        """Push workers a step further out, and say how far each pod is."""
        workers = {worker for pod in pods.values() for worker in pod}
        others = [
            other
            for other in self.scheduler.workers.values()
            if other.status in (Status.init, *STAYING) and other not in workers
        ]
        takers = any(other.status == Status.running for other in others)
        for worker in workers:
            leaving = self.leaving.setdefault(worker.address, Leaving(since=monotonic()))
            leaving.lease = monotonic() + LEASE
            # With nobody to stay there is nobody to save the data for: the cluster is scaled to zero.
            holds = bool(others) and holds_last_copy(worker)
            if holds and not leaving.stuck:
                leaving.stuck = hindrance(worker, leaving, takers=takers)
            if not leaving.stuck:
                self._push(worker, leaving, holds=holds)
            elif worker.status == Status.closing_gracefully:
                self._tell(worker, Status.running)
        if self._mover is not None and self._mover.policies and monotonic() >= self.moved + MOVE_SECONDS:
            self.moved = monotonic()
            self._mover.run_once()
        answer: dict[str, Any] = {"gone": [], "retiring": [], "stuck": {}}
        for pod, own in pods.items():
            reasons = [self.leaving[worker.address].stuck for worker in own]
            if any(reasons):
                answer["stuck"][pod] = next(filter(None, reasons))
            else:
                gone = not others or all(map(self._is_gone, own))
                answer["gone" if gone else "retiring"].append(pod)
        return answer

    def _push(self, worker: WorkerState, leaving: Leaving, *, holds: bool) -> None:
        if worker.status in STAYING:
            self._tell(worker, Status.closing_gracefully)
        for task in worker.processing:
            if task.key not in leaving.asked:
                leaving.asked.add(task.key)
                recall = {"op": "steal-request", "key": task.key, "stimulus_id": f"{RECALL}-{monotonic()}"}
                self.scheduler.worker_send(worker.address, recall)
        if holds and leaving.moving not in self.mover.policies:
            from distributed.active_memory_manager import RetireWorker  # noqa: PLC0415

            leaving.moving = RetireWorker(worker.address)
            self.mover.add_policy(leaving.moving)

    def _tell(self, worker: WorkerState, status: Status) -> None:
        logger.info("Worker %s at %s is to be %s", worker.name, worker.address, status.name)
        stimulus = f"dask-k8s-{status.name}-{monotonic()}"
        message = {"op": "worker-status-change", "status": status.name, "stimulus_id": stimulus}
        self.scheduler.worker_send(worker.address, message)
        # The scheduler learns it now: until the worker has confirmed it, it would choose by the old status.
        self.scheduler.handle_worker_status_change(status, worker, stimulus)

    def _answered(self, *, key: Any, state: str | None, stimulus_id: str, worker: str, **more: Any) -> None:
        """Take back a task that the worker has not begun.

        When it says so the worker has let go of the task, and says it in order with what else it tells.
        Rescheduling without having asked would execute a task twice that it is at.
        """
        if not stimulus_id.startswith(RECALL):
            if self._steal_response is not None:
                self._steal_response(key=key, state=state, stimulus_id=stimulus_id, worker=worker, **more)
            return
        task = self.scheduler.tasks.get(key)
        owner = None if task is None else task.processing_on
        if owner is not None and owner.address == worker and state in NOT_BEGUN:
            if worker in self.leaving:
                self.leaving[worker].asked.discard(key)
            self.scheduler.transitions({key: "released"}, stimulus_id)

    def _is_gone(self, worker: WorkerState) -> bool:
        leaving = self.leaving.get(worker.address)
        if leaving is None or worker.status in STAYING:
            return False
        finished = not worker.processing or monotonic() > leaving.since + FINISH
        return finished and not holds_last_copy(worker)


def pod_by_name(name: str, pods: Mapping[str, str]) -> str | None:
    """Return the pod that a worker is named after; `dask worker --nworkers` adds a dash and a number."""
    while name and name not in pods:
        name = name.rpartition("-")[0]
    return name or None


def holds_last_copy(worker: WorkerState) -> bool:
    """Return whether something is on this worker and on none that stays."""
    for task in worker.has_what:
        if not any(other is not worker and other.status in STAYING for other in task.who_has or ()):
            return True
    return False


def hindrance(worker: WorkerState, leaving: Leaving, *, takers: bool) -> str:
    """Return why a worker cannot hand over its data; empty if it can."""
    if worker.actors:
        return "it holds actors, which cannot be moved"
    if not takers or (leaving.moving is not None and leaving.moving.no_recipients):
        return "no other worker can take its data: they are paused or on their way out"
    return ""


# --- what else the scheduler was to load ---


def load_hidden_preloads(scheduler: Scheduler) -> list[PreloadManager]:
    """Load the preloads that the agent's own configuration hides; one that fails is logged."""
    loaded = []
    try:
        hidden = hidden_preloads(scheduler)
    except Exception:
        logger.exception("Failed to find out which other preloads there are")
        hidden = []
    for name, argv in hidden:
        try:
            loaded.append(process_preloads(scheduler, name, argv))
        except Exception:
            logger.exception("Failed to load preload: %s", name)
    return loaded


def hidden_preloads(scheduler: Scheduler) -> list[tuple[str, list[str]]]:
    """Return the hidden preloads with their arguments: what distributed would load if there were no agent."""
    known = [preload.name for preload in scheduler.preloads]
    if known != listed(dask.config.get("distributed.scheduler.preload")):
        return []  # they were named on the command line, for which distributed passes over its configuration
    renamed = ("DASK_K8S_PRELOAD", "DASK_K8S_PRELOAD_ARGV")
    users = {
        name.replace("DASK_K8S_", "DASK_DISTRIBUTED__SCHEDULER__"): os.environ[name]
        for name in renamed
        if name in os.environ
    }
    files = dask.config.collect_yaml(dask.config.paths)
    config = dask.config.merge(*files, dask.config.collect_env(users))
    names = listed(dask.config.get("distributed.scheduler.preload", None, config=config))
    argv = listed(dask.config.get("distributed.scheduler.preload-argv", None, config=config))
    if not argv or isinstance(argv[0], str):
        argv = [argv] * len(names)
    if len(argv) != len(names):
        raise ValueError(f"{len(names)} preloads and {len(argv)} lists of arguments")
    return [(name, arguments) for name, arguments in zip(names, argv) if name not in known]


def listed(value: Any) -> list[Any]:
    """Return the list that a configured value is or stands for."""
    return [value] if isinstance(value, str) and value else list(value or ())


# --- HTTP ---


class Refused(HTTPError):
    """A request gets this status and this sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status)
        self.sentence = sentence


@stream_request_body  # `prepare` comes before the body: strangers cannot make the scheduler hold one
class Route(RequestHandler):
    """All of the agent's routes."""

    def initialize(self, agent: Agent) -> None:
        """Take what the route was registered with."""
        self.agent = agent
        self.body = bytearray()

    def prepare(self) -> None:
        """Look at who asks, and how much."""
        if not self.agent.admits(self.request.headers.get("Authorization", "")):
            raise Refused(401, "the token is missing or wrong")
        if int(self.request.headers.get("Content-Length", "0")) > LARGEST_BODY:
            raise Refused(413, f"more than {LARGEST_BODY} bytes")

    def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body, which need not have said its length."""
        self.body += chunk
        if len(self.body) > LARGEST_BODY:
            raise Refused(413, f"more than {LARGEST_BODY} bytes")

    def get(self, route: str | None) -> None:
        """Answer a question."""
        if route == "demand":
            self.finish(self.agent.demand())
        elif route == "idle":
            self.finish(self.agent.idle())
        else:
            raise Refused(404, "nothing to get here")

    async def post(self, route: str | None) -> None:
        """Do what is asked for."""
        retirement, body = self.agent.retirement, bytes(self.body)
        try:
            if route == "retire":
                answer = await retirement.retire(Wish.read(body))
            elif route == "known":
                answer = {"known": retirement.known(read_question(body)["pods"])}
            else:
                raise Refused(404, "nothing to post here")
        except Malformed as error:
            raise Refused(400, str(error)) from error
        self.finish(answer)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say in JSON what is wrong; the traceback is in the scheduler's log."""
        error = kwargs.get("exc_info", (None, None))[1]
        sentence = (
            error.sentence if isinstance(error, Refused) else f"{self._reason} ({type(error).__name__})"
        )
        if status_code in (401, 413):
            self.set_header("Connection", "close")  # as tornado does when a body has not been read
        self.finish({"error": sentence})
