"""Observed state as values: what the cache shows of a job, its cluster and its runner. No await."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

from dask_k8s_controller import Finding, Key, Record, World
from dask_k8s_crds import Condition, DaskJob, DaskJobStatus, labels, names
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, JOBS, PODS, Resource

Body = Mapping[str, Any]


class End(NamedTuple):
    """How a job ended, when, and why."""

    succeeded: bool
    reason: str
    message: str
    time: datetime

    @classmethod
    def failure(cls, reason: str, message: str, time: datetime) -> Self:
        """Return that the job has failed."""
        return cls(succeeded=False, reason=reason, message=message, time=time)


@dataclass(frozen=True, slots=True)
class Runner:
    """What is remembered of the Job that runs the client."""

    created: datetime
    suspended: bool
    deadline: int | None
    started: datetime | None
    failed: int
    end: End | None


def trim_runner(body: Body) -> Runner:
    """Keep what a reconcile reads of a Job."""
    spec, status = body["spec"], body.get("status") or {}
    started = status.get("startTime")
    return Runner(
        created=datetime.fromisoformat(body["metadata"]["creationTimestamp"]),
        suspended=bool(spec.get("suspend")),
        deadline=spec.get("activeDeadlineSeconds"),
        started=datetime.fromisoformat(started) if started else None,
        failed=status.get("failed", 0),
        end=_end(status),
    )


def _end(status: Body) -> End | None:
    for each in status.get("conditions") or ():
        if each["type"] in {"Complete", "Failed"} and each["status"] == "True":
            succeeded = each["type"] == "Complete"
            time = (status.get("completionTime") if succeeded else None) or each["lastTransitionTime"]
            reason = each.get("reason") or each["type"]
            return End(succeeded, reason, each.get("message", ""), datetime.fromisoformat(time))
    return None


def cluster_of(body: Body) -> str:
    """Return the name of the cluster that a job runs on."""
    name: Any = (body.get("spec") or {}).get("clusterName")
    own: str = body["metadata"]["name"]
    return name if isinstance(name, str) else own


@dataclass(frozen=True, slots=True)
class Observed:
    """A job, and what there is of it.

    ``cluster`` is the one that it runs on, its own or that of others, ``runner`` its Job; ``pods`` are the
    runner's. ``expected`` was made and is not in the cache yet. ``taken``: its own cluster would have the
    name of one that was not made for it.
    """

    record: Record
    cluster: Record | None
    taken: bool
    runner: Record | None
    pods: tuple[Record, ...]
    expected: frozenset[Resource]

    @classmethod
    def of(cls, record: Record, job: DaskJob, world: World) -> Self:
        """Look at the cache."""
        namespace = record.key.namespace
        there = world.get(Key(DASK_CLUSTERS, namespace, cluster_of(record.value)))
        own = next(iter(world.owned(record.uid, DASK_CLUSTERS)), None)
        cluster = there if job.spec.cluster_name else own
        name = names.runner(record.key.name)
        runner = next((each for each in world.owned(record.uid, JOBS) if each.key.name == name), None)
        return cls(
            record=record,
            cluster=cluster,
            taken=cluster is None and there is not None,
            runner=runner,
            pods=tuple(world.owned(runner.uid, PODS)) if runner else (),
            expected=frozenset(each for each in (DASK_CLUSTERS, JOBS) if world.expected(record.uid, each)),
        )

    @property
    def status(self) -> DaskJobStatus:
        """What was reported last."""
        return DaskJobStatus.model_validate(self.record.value.get("status") or {})

    @property
    def address(self) -> str | None:
        """Where the scheduler is, if it is ready."""
        if self.cluster is None or self.cluster.deleting:
            return None
        found = condition(self.cluster.value, "SchedulerReady")
        if found is None or found.status != "True":
            return None
        address: str | None = (self.cluster.value.get("status") or {}).get("schedulerAddress")
        return address

    @property
    def newest_pod(self) -> Record | None:
        """The runner's newest pod."""
        return max(self.pods, key=lambda pod: (pod.value.created, pod.key.name), default=None)

    @property
    def has_run(self) -> bool:
        """Whether the runner has been at work; a pod from before `suspend` may still be on its way out."""
        if self.runner is None:
            return False
        runner: Runner = self.runner.value
        at_work = any(pod.value.phase != "Pending" and not pod.deleting for pod in self.pods)
        return at_work or bool(runner.failed) or runner.end is not None or self.status.job_status == "Running"


def condition(body: Body, kind: str) -> Condition | None:
    """Return a condition that an object has in its status."""
    for each in (body.get("status") or {}).get("conditions") or ():
        if each["type"] == kind:
            return Condition.model_validate(each)
    return None


def cluster_trouble(observed: Observed, job: DaskJob) -> Finding | None:
    """Why the scheduler of the cluster cannot be reached, None if it can; the cluster's own words."""
    if observed.address is not None:
        return None
    cluster, name = observed.cluster, job.spec.cluster_name or job.metadata.name
    if observed.taken:
        return Finding("NameTaken", f'DaskCluster "{name}" was not made for this job: delete or rename one')
    if cluster is None or cluster.deleting:
        where = f'there is no DaskCluster "{name}" in namespace "{observed.record.key.namespace}"'
        return Finding("ClusterNotFound", where)
    for kind, status in (("Degraded", "True"), ("SchedulerReady", "False")):
        found = condition(cluster.value, kind)
        if found is not None and found.status == status:
            return Finding(found.reason, f"DaskCluster {cluster.key.name}: {found.message}")
    return Finding("ClusterNotReady", f"DaskCluster {cluster.key.name} has just been made")


def is_degraded(observed: Observed) -> bool:
    """Whether the cluster will not get better by waiting alone: it says so, or is not there."""
    if observed.cluster is None or observed.cluster.deleting:
        return True
    found = condition(observed.cluster.value, "Degraded")
    return found is not None and found.status == "True"


def of_cluster(cluster: Record, world: World) -> list[Key]:
    """A cluster rings the jobs that run on it."""
    return [job.key for job in world.find(DASK_JOBS, cluster.key.namespace, cluster.key.name)]


def of_pod(pod: Record, world: World) -> list[Key]:
    """A pod of a runner rings the job."""
    if pod.value.component != labels.JOB_RUNNER or pod.owner is None:
        return []
    runner = world.get(Key(JOBS, pod.key.namespace, pod.owner.name))
    if runner is None or runner.owner is None:
        return []
    return [Key(DASK_JOBS, pod.key.namespace, runner.owner.name)]
