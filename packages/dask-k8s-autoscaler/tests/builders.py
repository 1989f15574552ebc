"""A world for reconciles: state in, plans and reports out; what is written is there afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dask_k8s_controller import After, Agent, AgentError, Demand, Key, Load, Outcome, Record, Retired, Waiting
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
API_VERSION = "kubernetes.dask.org/v1"
POD = {"containers": [{"name": "dask", "image": "dask:1", "args": ["dask", "worker", "--nthreads", "2"]}]}
KEY = Key(DASK_AUTOSCALERS, "ns", "auto")


def metadata(name, **more):
    created = START
    return {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-of-{name}",
        "generation": 1,
        "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **more,
    }


def autoscaler(name="auto", *, annotations=None, created=None, **spec):
    more = {"annotations": annotations or {}}
    if created:
        more["creationTimestamp"] = created
    return {
        "apiVersion": API_VERSION,
        "kind": "DaskAutoscaler",
        "metadata": metadata(name, **more),
        "spec": {"cluster": "c", **spec},
    }


def cluster(**more):
    return {"apiVersion": API_VERSION, "kind": "DaskCluster", "metadata": metadata("c", **more), "spec": {}}


def group(name="c-default", replicas=2, *, offers=None, ready=None, owned=True, **more):
    owner = {
        "apiVersion": API_VERSION,
        "kind": "DaskCluster",
        "name": "c",
        "uid": "uid-of-c",
        "controller": True,
    }
    worker = {"replicas": replicas, "spec": POD} | ({"daskResources": offers} if offers else {})
    return {
        "apiVersion": API_VERSION,
        "kind": "DaskWorkerGroup",
        "metadata": metadata(name, **({"ownerReferences": [owner]} if owned else {}), **more),
        "spec": {"cluster": "c", "worker": worker},
        "status": {"replicas": replicas if ready is None else ready},
    }


def load(workers=2, idle=0, *, resources=None, tasks=0, seconds=0.0):
    return Load(
        resources=resources or {},
        workers=workers,
        idle=idle,
        threads=2 * workers,
        processing=tasks,
        occupancy=seconds,
        memory=0,
        managed=0,
        busy={},
        asked={},
        memory_limit=0,
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


@dataclass
class Scheduler:
    """Answers what it was told to, or fails so; ``meanwhile`` happens before it does."""

    answer: Demand | AgentError
    asked: list[datetime] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    clock: Callable[[], datetime] = lambda: START

    async def demand(self) -> Demand:
        self.asked.append(self.clock())
        self.meanwhile()
        if isinstance(self.answer, AgentError):
            raise self.answer
        return self.answer

    async def idle(self) -> float | None:
        return None

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        return frozenset(pods)

    async def retire(self, pods: Mapping[str, str], count: int) -> Retired:
        return Retired()


class Refusal(Exception):
    """What a server says that refuses."""


class FakeWorld:
    """A cache, a server that takes what is written into it at once, and a scheduler."""

    cluster_domain = "cluster.local"

    def __init__(self, *bodies, scheduler=None):
        self.time = START
        self.scheduler = scheduler
        self.refuses = False
        self.writes: list[str] = []
        """What was written, in words."""
        self._version = 0
        self._records: dict[Key, Record] = {}
        if scheduler is not None:
            scheduler.clock = self.now
        for body in bodies:
            self.put(body)

    # What tests do and see.

    def put(self, body):
        """Have an object."""
        self._version += 1
        resources = {
            resource.kind: resource for resource in (DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS)
        }
        resource, meta = resources[body["kind"]], body["metadata"]
        owners = [owner for owner in meta.get("ownerReferences", ()) if owner.get("controller")]
        key = Key(resource, meta["namespace"], meta["name"])
        self._records[key] = Record(
            key=key,
            uid=meta["uid"],
            version=self._version,
            deleting="deletionTimestamp" in meta,
            owner=Owner(**owners[0]) if owners else None,
            indexed=(body.get("spec") or {}).get("cluster"),
            value=body,
        )

    def remove(self, key):
        del self._records[key]

    def scale(self, name, replicas):
        """As ``kubectl scale`` does."""
        self._merge(Key(DASK_WORKER_GROUPS, "ns", name), {"spec": {"worker": {"replicas": replicas}}})

    def size(self, name="c-default"):
        return self.body(Key(DASK_WORKER_GROUPS, "ns", name))["spec"]["worker"]["replicas"]

    def body(self, key=KEY):
        return self._records[key].value

    def status(self):
        return self.body().get("status") or {}

    def condition(self, kind="Active"):
        (found,) = [each for each in self.status()["conditions"] if each["type"] == kind]
        return found["status"], found["reason"], found["message"]

    def later(self, seconds):
        self.time += timedelta(seconds=seconds)

    # The protocol.

    def now(self) -> datetime:
        return self.time

    def get(self, key: Key) -> Record | None:
        return self._records.get(key)

    def owned(self, uid, resource) -> list[Record]:
        return [each for each in self._records.values() if each.owner and each.owner.uid == uid]

    def find(self, resource, namespace, index) -> list[Record]:
        return [
            each for each in self._records.values() if each.key.resource == resource and each.indexed == index
        ]

    def expected(self, uid, resource) -> frozenset[str]:
        return frozenset()

    def agent(self, cluster) -> Agent | None:
        return self.scheduler

    async def apply(self, key, uid, plan) -> Outcome:
        errors = []
        for action in plan:
            if self.refuses:
                errors.append(Refusal(f"{action}: refused"))
                continue
            body = {**action.body, "metadata": dict(action.body["metadata"])}
            version = body["metadata"].pop("resourceVersion")
            # What somebody has changed meanwhile is left alone, as `apply` does.
            if version == str(self._records[action.key].version):
                self.writes.append(str(action))
                self._merge(action.key, body)
        return Outcome(tuple(errors))

    async def report(self, key, status) -> After | None:
        record = self._records[key]
        if record.value.get("status") != dict(status):
            self.writes.append(f"report {key}")
            self._merge(key, {"status": dict(status)}, whole=("status",))
        return None

    def _merge(self, key, change: dict[str, Any], whole=()):
        body = self._records[key].value
        merged = _merged(body, change) | {name: change[name] for name in whole}
        if "spec" in change:
            generation = body["metadata"]["generation"] + 1
            merged["metadata"] = {**merged["metadata"], "generation": generation}
        self.put(merged)


@dataclass(frozen=True)
class Owner:
    apiVersion: str  # noqa: N815
    kind: str
    name: str
    uid: str
    controller: bool = True
    blockOwnerDeletion: bool = False  # noqa: N815


def _merged(base, change):
    inside = {
        name: _merged(base.get(name) or {}, value) if isinstance(value, dict) else value
        for name, value in change.items()
    }
    return {**base, **inside}
