"""A small simulated Dask cluster: tasks arrive, pods take their time to start, workers work and go.

Time is in seconds since 1970; nothing here waits for real.
"""

import heapq
import itertools
import math
from collections import Counter, deque
from dataclasses import dataclass, field

from dask_k8s_autoscaler.history import History
from dask_k8s_autoscaler.model import Bounds, Group, Settings, Stuck, WaitingTasks, Work, WorkerPool
from dask_k8s_autoscaler.policy import decide, within_bounds

UNKNOWN_SECONDS = 0.5
"""What Dask takes a task to last before it has seen one of its kind."""
PATIENCE = 60.0
"""Seconds that a pod may take to be scheduled (`fallbackSeconds`)."""
LONG, FINISH = 60.0, 300.0
"""Seconds after which the agent takes a task for long, and for which a retiring worker may run one."""


@dataclass(eq=False)
class Task:
    seconds: float
    asks: dict[str, float] = field(default_factory=dict)
    kind: str = "task"
    data: int = 0
    """Bytes of the result, which is kept until `Simulation.release`."""
    needs: tuple["Task", ...] = ()
    """Tasks that must have been done before."""
    pinned: bool = False
    """Whether only one of the two oldest workers can run it."""
    arrived: float = 0.0
    started: float | None = None
    done: bool = False


@dataclass(eq=False)
class Pod:
    group: str
    offers: dict[str, float]
    threads: int
    limit: int
    made: float
    scheduled: bool = False
    connected: bool = False
    retiring: bool = False
    running: list[Task] = field(default_factory=list)
    queue: deque[Task] = field(default_factory=deque)
    data: int = 0

    @property
    def idle(self):
        return not self.running and not self.queue

    @property
    def tasks(self):
        return [*self.running, *self.queue]


@dataclass
class GroupSpec:
    """What the pods of a group are like."""

    offers: dict[str, float] = field(default_factory=dict)
    threads: int = 2
    limit: int = 0
    own: int = 0
    """Bytes that a worker takes for itself."""
    start: float = 10.0
    """Seconds that a pod takes to start."""
    nodes: float = math.inf
    """Pods for which there are nodes; the others are unschedulable."""
    bounds: Bounds | None = field(default_factory=lambda: Bounds(0, 20))
    priority: int = 0
    replicas: int = 0


class Simulation:
    """Everything together, and an autoscaler that looks at it every ``settings.interval`` seconds."""

    def __init__(self, specs, settings=None, *, start=1_000_000.0):
        self.specs = specs
        self.settings = settings or Settings()
        self.now = self.start = start
        self.replicas = {name: spec.replicas for name, spec in specs.items()}
        self.pods = {name: [] for name in specs}
        self.waiting = deque()
        self.seen = {}
        """By kind, how long tasks of it last."""
        self.history = History()
        self.dependents = {}
        self.done, self.last_done = 0, start
        self.longest_wait = 0.0
        self.killed = 0
        """Tasks that were running when their worker was deleted."""
        self.lost = 0
        """Bytes of data."""
        self.changes = []
        """Of sizes: time, change."""
        self.last_arrival = start
        self.sizes = {name: [] for name in specs}
        self._events = []
        self._count = itertools.count()
        self._kubelet()

    # What happens.

    def submit(self, when, tasks):
        self._at(self.start + when, self._arrive, tasks)

    def release(self, when):
        self._at(self.start + when, self._release)

    def run(self, seconds, check=lambda simulation: None):
        """Let time pass; ``check`` after every look of the autoscaler."""
        end = self.now + seconds
        while self.now < end:
            look = self.now + self.settings.interval
            while self._events and self._events[0][0] <= look:
                self.now, _, what, args = heapq.heappop(self._events)
                what(*args)
            self.now = look
            self.look()
            check(self)

    def _at(self, when, what, *args):
        heapq.heappush(self._events, (when, next(self._count), what, args))

    # The autoscaler.

    def groups(self):
        return [
            Group(name, self.replicas[name], spec.offers, spec.bounds, spec.priority, stuck=self._stuck(name))
            for name, spec in self.specs.items()
        ]

    def _stuck(self, name):
        pending = [pod.made for pod in self.pods[name] if not pod.scheduled]
        if not pending or self.now - min(pending) <= PATIENCE:
            return None
        return Stuck(len(pending), "Unschedulable", min(pending), PATIENCE)

    def look(self):
        for change in within_bounds(self.groups()):
            self.replicas[change.group] = change.after
        decision = decide(self.groups(), self.work(), self.settings, self.history, self.now)
        for change in decision.changes:
            self.changes.append((self.now, change))
            self.replicas[change.group] = change.after
        self.history = decision.history.resized(self.now, self.replicas)
        self._kubelet()
        self._assign()
        for name, sizes in self.sizes.items():
            sizes.append(self.replicas[name])

    def work(self):
        pools = {}
        for pod in self._workers():
            pools.setdefault(tuple(pod.offers.items()), []).append(pod)
        waiting = {}
        for task in self.waiting:
            waiting.setdefault(tuple(task.asks.items()), []).append(task)
        return Work(
            target=5.0,
            pools=tuple(self._pool(dict(offers), pods) for offers, pods in pools.items()),
            waiting=tuple(
                WaitingTasks(dict(asks), len(tasks), sum(map(self._estimate, tasks)))
                for asks, tasks in waiting.items()
            ),
        )

    def _pool(self, offers, pods):
        pinned = [task for pod in pods for task in pod.tasks if task.pinned]
        tasks = [task for pod in pods for task in pod.tasks if not task.pinned]
        data = sum(pod.data for pod in pods)
        return WorkerPool(
            offers=offers,
            workers=len(pods),
            idle=sum(pod.idle for pod in pods),
            threads=sum(pod.threads for pod in pods),
            tasks=len(tasks),
            seconds=sum(map(self._estimate, tasks)),
            memory=data + sum(self.specs[pod.group].own for pod in pods),
            data=data,
            limit=sum(pod.limit for pod in pods),
            busy=Counter(pod.group for pod in pods if not pod.idle),
            asked={name: sum(task.asks.get(name, 0) for task in tasks) for name in offers},
            pods=Counter(pod.group for pod in pods),
            pinned=Counter(pod.group for pod in pods if self._has_to_stay(pod)),
            pinned_tasks=len(pinned),
            pinned_seconds=sum(map(self._estimate, pinned)),
        )

    def _has_to_stay(self, pod):
        """As the agent decides."""
        return any(
            task.pinned
            or not self.seen.get(task.kind, math.inf) <= LONG
            or (task.started is not None and self.now - task.started > LONG)
            for task in pod.tasks
        )

    def _estimate(self, task):
        usual = self.seen.get(task.kind, UNKNOWN_SECONDS)
        runs = 0.0 if task.started is None else self.now - task.started
        return 2 * runs if runs > 2 * usual else usual

    # Kubernetes and the controller.

    def _kubelet(self):
        for name, spec in self.specs.items():
            staying = [pod for pod in self.pods[name] if not pod.retiring]
            for _ in range(self.replicas[name] - len(staying)):
                self.pods[name].append(Pod(name, spec.offers, spec.threads, spec.limit, self.now))
            surplus = len(staying) - self.replicas[name]
            # As the agent chooses: not connected yet, then idle, then with little to lose and least data.
            staying.sort(key=lambda pod: (pod.connected, not pod.idle, self._has_to_stay(pod), pod.data))
            for pod in staying[: max(0, surplus)]:
                self._retire(pod)
            free = spec.nodes - sum(pod.scheduled for pod in self.pods[name])
            for pod in [pod for pod in self.pods[name] if not pod.scheduled][: int(min(free, 10**6))]:
                pod.scheduled = True
                self._at(self.now + spec.start, self._connect, pod)

    def _retire(self, pod):
        pod.retiring = True
        self.waiting.extendleft(reversed(pod.queue))
        pod.queue.clear()
        self._leave(pod)
        self._at(self.now + FINISH, self._kill, pod)

    def _kill(self, pod):
        if pod in self.pods[pod.group]:
            self.killed += len(pod.running)
            for task in pod.running:
                task.started = None
            self.waiting.extendleft(pod.running)
            pod.running.clear()
            self._leave(pod)

    def _leave(self, pod):
        if pod.running:
            return
        heirs = [other for other in self._workers() if other is not pod]
        if heirs:
            min(heirs, key=lambda other: other.data).data += pod.data
        else:
            self.lost += pod.data
        self.pods[pod.group].remove(pod)

    def _connect(self, pod):
        if pod in self.pods[pod.group]:
            pod.connected = True
            self._assign()

    # The scheduler.

    def _workers(self):
        return [pod for pods in self.pods.values() for pod in pods if pod.connected and not pod.retiring]

    def _arrive(self, tasks):
        self.last_arrival = self.now
        for task in tasks:
            task.arrived = self.now
            for each in task.needs:
                self.dependents.setdefault(each, []).append(task)
        self.waiting.extend(task for task in tasks if _is_ready(task))
        self._assign()

    def _assign(self):
        """Plain tasks wait for a free thread of the worker with least to do; others go to one at once."""
        workers = self._workers()
        rest = deque()
        turns = (
            (number / pod.threads, order, pod)
            for order, pod in enumerate(workers)
            for number in range(len(pod.tasks), pod.threads + 1)
        )
        free = deque(pod for _, _, pod in sorted(turns, key=lambda turn: turn[:2]))
        for task in self.waiting:
            if task.pinned:
                pod = min(workers[:2], key=lambda pod: len(pod.tasks), default=None)
            elif task.asks:
                able = [pod for pod in workers if _covers(pod.offers, task.asks)]
                pod = min(able, key=lambda pod: len(pod.queue) + len(pod.running), default=None)
            else:
                pod = free.popleft() if free else None
            if pod is None:
                rest.append(task)
            else:
                pod.queue.append(task)
        self.waiting = rest
        self._steal(workers)
        for pod in workers:
            self._work(pod)

    def _steal(self, workers):
        if not any(pod.queue for pod in workers):
            return
        for thief in workers:
            victim = max(workers, key=lambda pod: len(pod.queue)) if thief.idle else thief
            half = len(victim.queue) // 2 if victim is not thief else 0
            for _ in range(half):
                if _covers(thief.offers, victim.queue[-1].asks) and not victim.queue[-1].pinned:
                    thief.queue.append(victim.queue.pop())

    def _work(self, pod):
        for task in list(pod.queue):
            if len(pod.running) < pod.threads and self._has_room(pod, task):
                pod.queue.remove(task)
                pod.running.append(task)
                task.started = self.now
                self.longest_wait = max(self.longest_wait, self.now - task.arrived)
                self._at(self.now + task.seconds, self._finish, pod, task)

    def _has_room(self, pod, task):
        used = {name: sum(each.asks.get(name, 0) for each in pod.running) for name in task.asks}
        return all(used[name] + amount <= pod.offers[name] for name, amount in task.asks.items())

    def _finish(self, pod, task):
        if task not in pod.running:
            return  # it was killed
        pod.running.remove(task)
        pod.data += task.data
        self.seen[task.kind] = task.seconds
        self.done, self.last_done = self.done + 1, self.now
        task.done = True
        ready = [each for each in self.dependents.pop(task, ()) if _is_ready(each)]
        self.waiting.extend(ready)
        if pod.retiring:
            self._leave(pod)
            self._assign()
            return
        if not pod.queue and (self.waiting or any(len(each.queue) > 1 for each in self._workers())):
            self._assign()
        else:
            self._work(pod)

    def _release(self):
        for pods in self.pods.values():
            for pod in pods:
                pod.data = 0


def _covers(offers, asks):
    return all(offers.get(name, 0) >= amount for name, amount in asks.items())


def _is_ready(task):
    return all(each.done for each in task.needs)
