"""Objects, and a world for reconciles that knows an autoscaler and its groups."""

from dask_k8s_autoscaler.plugin import PLUGIN
from dask_k8s_controller import AgentError, Demand, Key, Load, Waiting
from dask_k8s_controller.testing import FakeAgent, FakeWorld, objects
from dask_k8s_controller.testing.objects import ago, metadata, owned_by
from dask_k8s_crds.resources import API_VERSION, DASK_AUTOSCALERS, DASK_WORKER_GROUPS

POD = {"containers": [{"name": "dask", "image": "dask:1", "args": ["dask", "worker", "--nthreads", "2"]}]}
KEY = Key(DASK_AUTOSCALERS, "ns", "auto")
OF_CLUSTER = owned_by("DaskCluster", "c", "uid-of-c")


def autoscaler(name="auto", *, annotations=None, created=None, **spec):
    more = {"generation": 1, "creationTimestamp": created or ago(0), "annotations": annotations or {}}
    return {
        "apiVersion": API_VERSION,
        "kind": "DaskAutoscaler",
        "metadata": metadata(name, **more),
        "spec": {"cluster": "c", **spec},
    }


def cluster(**more):
    return objects.cluster(**{"uid": "uid-of-c"} | more)


def group(name="c-default", replicas=2, *, offers=None, ready=None, owned=True, **more):
    body = objects.group(name, **{"ownerReferences": [OF_CLUSTER] if owned else None} | more)
    worker = {"replicas": replicas, "spec": POD} | ({"daskResources": offers} if offers else {})
    body["spec"]["worker"] = worker
    return body | {"status": {"replicas": replicas if ready is None else ready}}


def pods(group, statuses, *, since=0.0):
    """Pods of a group: `ready`, `running`, `pending`, and since then `lost` or `Unschedulable`."""
    for number, reason in enumerate(statuses):
        body = objects.pod(
            f"{group}-{number}",
            phase="Running" if reason in {"ready", "running", "lost"} else "Pending",
            ready=reason == "ready",
            creationTimestamp=ago(0),
            ownerReferences=[owned_by("DaskWorkerGroup", group, f"uid-of-{group}")],
        )
        if reason == "Unschedulable":
            scheduled = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "no node"}
            body["status"]["conditions"] = [scheduled | {"lastTransitionTime": ago(since)}]
        if reason == "lost":
            body["status"]["conditions"][0]["lastTransitionTime"] = ago(since)
        yield body


def load(workers=2, idle=0, *, resources=None, tasks=0, seconds=0.0, **more):
    return Load(
        resources=resources or {},
        workers=workers,
        idle=idle,
        threads=2 * workers,
        processing=tasks,
        occupancy=seconds,
        memory=0,
        managed=0,
        asked={},
        memory_limit=0,
        **{"busy": {}} | more,
    )


def waiting(tasks, seconds, **asks):
    return Waiting(resources=asks, tasks=tasks, seconds=seconds)


def demand(*parts):
    return Demand(
        target_duration=5.0,
        idle_seconds=None,
        loads=tuple(part for part in parts if isinstance(part, Load)),
        waiting=tuple(part for part in parts if isinstance(part, Waiting)),
    )


class Scheduler(FakeAgent):
    """Has an `answer` about its demand, or an error; ``meanwhile`` happens before it answers."""

    def __init__(self, answer):
        super().__init__(demand=self._demand)
        self.answer = answer
        self.meanwhile = lambda: None

    def _demand(self):
        self.meanwhile()
        if isinstance(self.answer, AgentError):
            raise self.answer
        return self.answer


class World(FakeWorld):
    """A world in which one autoscaler is looked at."""

    def __init__(self, *bodies, scheduler=None):
        super().__init__(*bodies, plugins=[PLUGIN], scheduler=scheduler)

    def scale(self, name, replicas):
        """As ``kubectl scale`` does."""
        self.patch(Key(DASK_WORKER_GROUPS, "ns", name), {"spec": {"worker": {"replicas": replicas}}})

    def size(self, name="c-default"):
        return self.objects[Key(DASK_WORKER_GROUPS, "ns", name)]["spec"]["worker"]["replicas"]

    def status(self):
        return self.objects[KEY].get("status") or {}

    def condition(self, kind="Active"):
        (found,) = [each for each in self.status()["conditions"] if each["type"] == kind]
        return found["status"], found["reason"], found["message"]
