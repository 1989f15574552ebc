"""A cluster whose nodes come and go, with an autoscaler that is reconciled as the controller does it."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_controller import Key
from dask_k8s_controller.testing import objects
from dask_k8s_controller.testing.objects import owned_by
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS

from .builders import KEY, Scheduler, World, autoscaler, cluster, demand, group, load, waiting

LOST_SECONDS = 100
"""Seconds after which the pods of a lost node are deleted."""
START_POLLS = 2
"""Polls from the creation of a pod until its worker has registered, if there is a node."""


@dataclass
class Pod:
    """What the kubelet knows."""

    group: str
    created: float
    state: str = "pending"
    registered: bool = False
    lost: float | None = None


class History:
    """Groups by name with their maximum; `nodes` has how many pods fit, `work` how many workers would do."""

    def __init__(self, maxima, priorities, *, interval, fallback):
        self.maxima, self.interval, self.fallback = dict(maxima), interval, fallback
        self.nodes = dict.fromkeys(maxima, 0)
        self.work = 0
        self.pods = {}
        self.names = count()
        self.suspended, self.silent_until = False, 0.0
        others = [
            {"name": name, "maximum": maxima[name], "priority": priority, "fallbackSeconds": fallback}
            for name, priority in priorities.items()
        ]
        spec = {"maximum": maxima["c-default"], "fallbackSeconds": fallback, "intervalSeconds": interval}
        self.scheduler = Scheduler(demand())
        self.world = World(
            cluster(),
            *(group(name, 0) for name in maxima),
            autoscaler(groups=others, **spec),
            scheduler=self.scheduler,
        )
        self.scaling = Autoscaling()
        self.disturb()

    @property
    def now(self):
        return self.world.now().timestamp()

    def disturb(self):
        """Something has changed: what is to be served later counts from now."""
        self.disturbed = self.now

    # What happens.

    def set_work(self, work):
        self.work = work

    def set_nodes(self, name, nodes):
        self.nodes[name] = nodes

    def lose_node(self, name):
        """A node with all pods of a group but one is lost; there is no other."""
        running = [pod for pod in self.pods.values() if pod.group == name and pod.state == "ready"]
        for pod in running[1:]:
            pod.state, pod.registered, pod.lost = "lost", False, self.now
        self.nodes[name] = min(1, len(running))

    def restart_controller(self):
        self.scaling = Autoscaling()

    def restart_scheduler(self, seconds):
        self.silent_until = self.now + seconds
        for pod in self.pods.values():
            pod.registered = False

    def set_maximum(self, name, maximum):
        self.maxima[name] = maximum
        spec = dict(self.world.objects[KEY]["spec"])
        groups = [each | ({"maximum": maximum} if each["name"] == name else {}) for each in spec["groups"]]
        change = {"maximum": maximum} if name == "c-default" else {"groups": groups}
        self.world.patch(KEY, {"spec": change})

    def scale(self, name, replicas):
        self.world.scale(name, replicas)

    def suspend(self, suspended):
        self.suspended = suspended
        self.world.patch(Key(DASK_CLUSTERS, "ns", "c"), {"spec": {"suspend": suspended}})

    # What follows.

    async def poll(self):
        """Let the time of a poll pass; return the sizes of the groups."""
        self.world.advance(self.interval)
        self._scheduler()
        await self.scaling.reconcile(KEY, self.world)
        sizes = {name: self.world.size(name) for name in self.maxima}
        self._controller(sizes)
        self._kubelets()
        self._show()
        return sizes

    @property
    def registered(self):
        return Counter(pod.group for pod in self.pods.values() if pod.registered)

    @property
    def lost(self):
        """How many pods of lost nodes Kubernetes has not deleted yet, by group."""
        return Counter(pod.group for pod in self.pods.values() if pod.lost is not None)

    def _scheduler(self):
        silent = self.suspended or self.now < self.silent_until
        self.world.scheduler = None if silent else self.scheduler
        workers = self.registered.total()
        running = min(self.work, workers)
        pool = load(
            workers, workers - running, tasks=2 * running, seconds=200.0 * running,
            pods=dict(self.registered), pinned={},
        )  # fmt: skip
        rest = self.work - running
        parts = ([pool] if workers else []) + ([waiting(2 * rest, 200.0 * rest)] if rest else [])
        self.scheduler.answer = demand(*parts)

    def _controller(self, sizes):
        for name, size in sizes.items():
            own = {key: pod for key, pod in self.pods.items() if pod.group == name}
            for _ in range(0 if self.suspended else size - len(own)):
                self.pods[f"{name}-{next(self.names)}"] = Pod(name, self.now)
            surplus = len(own) - (0 if self.suspended else size)
            for key in sorted(own, key=lambda key: own[key].state != "pending")[: max(0, surplus)]:
                del self.pods[key]
        for key, pod in list(self.pods.items()):
            if pod.lost is not None and self.now - pod.lost > LOST_SECONDS:
                del self.pods[key]
                self.disturb()  # there is room for another one

    def _kubelets(self):
        for pod in self.pods.values():
            if pod.state == "ready":
                pod.registered = self.now >= self.silent_until
            elif pod.state == "starting":
                pod.state = "ready"
        for name, nodes in self.nodes.items():
            own = [pod for pod in self.pods.values() if pod.group == name]
            free = nodes - sum(pod.state in {"ready", "starting"} for pod in own)
            for pod in [pod for pod in own if pod.state == "pending"][: max(0, free)]:
                pod.state = "starting"

    def _show(self):
        """Write the pods, and the status of the groups."""
        shown = {key.name for key in self.world.objects if key.resource == PODS}
        for name in shown - self.pods.keys():
            self.world.remove(Key(PODS, "ns", name))
        for name, pod in self.pods.items():
            body = self._manifest(name, pod)
            known = self.world.objects.get(Key(PODS, "ns", name))
            if known is None or known["status"] != body["status"]:
                self.world.add(body)
        for name in self.maxima:
            own = [pod for pod in self.pods.values() if pod.group == name]
            status = {"replicas": len(own), "readyReplicas": sum(pod.state == "ready" for pod in own)}
            key = Key(DASK_WORKER_GROUPS, "ns", name)
            if self.world.objects[key].get("status") != status:
                self.world.add(self.world.objects[key] | {"status": status})

    def _manifest(self, name, pod):
        body = objects.pod(
            name,
            phase="Pending" if pod.state in {"pending", "starting"} else "Running",
            ready=pod.state == "ready",
            creationTimestamp=_text(pod.created),
            ownerReferences=[owned_by("DaskWorkerGroup", pod.group, f"uid-of-{pod.group}")],
        )
        if pod.state == "pending":
            scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            body["status"]["conditions"] = [scheduled | {"lastTransitionTime": _text(pod.created)}]
        if pod.lost is not None:
            body["status"]["conditions"][0]["lastTransitionTime"] = _text(pod.lost)
        return body


def _text(time):
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
