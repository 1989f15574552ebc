"""Objects as the API server sends them, and a world that is a cache, for tables of cases. No I/O."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace

from dask_k8s_controller import Finding, Outcome, Watched
from dask_k8s_controller.runtime.cache import Cache
from dask_k8s_crds import DaskJob
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS
from dask_k8s_job.observe import Observed, cluster_of, trim_runner

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TEMPLATE = {"containers": [{"name": "c", "image": "dask"}]}
CLUSTER_SPEC = {
    "scheduler": {"spec": TEMPLATE, "service": {"ports": [{"name": "tcp-comm", "port": 8786}]}},
    "worker": {"replicas": 3, "spec": TEMPLATE},
}
ADDRESS = "tcp://demo-scheduler.ns.svc.cluster.local:8786"
_versions = count(1)


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(name, uid, owner=None, **more):
    reference = owner and {"controller": True, "blockOwnerDeletion": True, **owner}
    return {
        "name": name,
        "namespace": "ns",
        "uid": uid,
        "resourceVersion": str(next(_versions)),
        "creationTimestamp": ago(3600),
        "generation": 1,
        **({"ownerReferences": [reference]} if reference else {}),
        **more,
    }


OF_JOB = {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskJob", "name": "demo", "uid": "job"}
OF_RUNNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "demo-runner", "uid": "runner"}


def job(status=None, template=None, metadata_=None, **spec):
    if "clusterName" not in spec:
        spec = {"cluster": {"spec": CLUSTER_SPEC}, **spec}
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskJob",
        "metadata": metadata("demo", "job", **(metadata_ or {})),
        "spec": {"job": {"spec": {**TEMPLATE, **(template or {})}}, **spec},
        "status": status or {},
    }


def cluster(*, ready=True, degraded=None, owner=OF_JOB, name="demo", **more):
    conditions = [{"type": "SchedulerReady", "status": str(ready), "reason": "S", "message": "not yet"}]
    if degraded:
        conditions.append({"type": "Degraded", "status": "True", "reason": degraded, "message": "oh"})
    return {
        "metadata": metadata(name, "cluster", owner, **more),
        "spec": CLUSTER_SPEC,
        "status": {"conditions": conditions, "schedulerAddress": ADDRESS},
    }


def runner(*ends, suspended=False, failed=0, started=60, **spec):
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": "m", "lastTransitionTime": ago(10)}
        for kind, reason in ends
    ]
    status = {"failed": failed, "conditions": conditions, **({"startTime": ago(started)} if started else {})}
    return {
        "metadata": metadata("demo-runner", "runner", OF_JOB),
        "spec": {"suspend": suspended, **spec},
        "status": status,
    }


def pod(phase="Running", name="demo-runner-abcde", created=50, trouble=None, **more):
    return {
        "metadata": metadata(name, name, OF_RUNNER, creationTimestamp=ago(created), **more),
        "status": {"phase": phase, "message": trouble},
    }


def _trim_pod(body):
    phase, trouble = body["status"]["phase"], body["status"].get("message")
    return SimpleNamespace(
        name=body["metadata"]["name"],
        component="job-runner",
        created=body["metadata"]["creationTimestamp"],
        phase=phase,
        finished=phase in {"Succeeded", "Failed"},
        trouble=Finding("PodFailed", trouble) if trouble else None,
    )


WATCHES = {
    watched.resource: watched
    for watched in (
        Watched(DASK_JOBS, index=cluster_of),
        Watched(DASK_CLUSTERS),
        Watched(JOBS, trim=trim_runner),
        Watched(PODS, trim=_trim_pod),
    )
}


@dataclass
class World:
    """What a reconcile sees: a cache; what it does is kept."""

    cache: Cache = field(default_factory=lambda: Cache(WATCHES, lambda _: None))
    cluster_domain: str = "cluster.local"
    hidden: dict = field(default_factory=dict)
    """By resource: names that were made and are not in the cache yet."""
    plans: list = field(default_factory=list)
    statuses: list = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)

    def add(self, resource, body):
        self.cache.set(self.cache.record(resource, body))

    def now(self):
        return NOW

    def get(self, key):
        return self.cache.get(key)

    def owned(self, uid, resource):
        return self.cache.owned(uid, resource)

    def find(self, resource, namespace, index):
        return self.cache.find(resource, namespace, index)

    def expected(self, uid, resource):
        return frozenset(self.hidden.get(resource, ()))

    async def apply(self, key, uid, plan):
        self.plans.append(plan)
        return self.outcome

    async def report(self, key, status):
        self.statuses.append(status)


def world(body, *, clusters=(), runners=(), pods=()):
    made = World()
    made.add(DASK_JOBS, body)
    for resource, bodies in ((DASK_CLUSTERS, clusters), (JOBS, runners), (PODS, pods)):
        for each in bodies:
            made.add(resource, each)
    return made


def observe(body, **children):
    made = world(body, **children)
    (record,) = made.cache.all(DASK_JOBS)
    model = DaskJob.parse(body)
    return model, Observed.of(record, model, made)
