"""Observe: what the cache shows of a job, its cluster and its runner, as values. No await, no decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

from dask_k8s_controller import Key, Record, World, bounded
from dask_k8s_crds import DaskClusterStatus, DaskJob, DaskJobStatus, labels, names
from dask_k8s_crds.conditions import find
from dask_k8s_crds.resources import DASK_CLUSTERS, EVENTS, JOBS, PODS, Resource

MAX_REASON = 128
MAX_MESSAGE = 1024
"""Bytes of reason and message that the cache keeps; anybody who may write Events or statuses sets them."""


class JobResult(NamedTuple):
    """How a job finished, why, and when."""

    succeeded: bool
    reason: str
    message: str
    time: datetime

    @classmethod
    def failure(cls, reason: str, message: str, time: datetime) -> Self:
        """Return the result of a job that failed."""
        return cls(succeeded=False, reason=reason, message=message, time=time)


@dataclass(frozen=True, slots=True)
class RunnerJob:
    """The fields that we read of the Job that runs the client."""

    created: datetime
    suspended: bool
    backoff_limit: int | None
    deadline: int | None
    queue: str
    """The queue of Kueue that it waits in; empty if Kueue does not manage it."""
    digest: str
    """Digest of the spec that it was created from."""
    started: datetime | None
    failed: int
    result: JobResult | None


def trim_runner(body: Mapping[str, Any]) -> RunnerJob:
    """Keep of a Job in the cache what a reconcile reads."""
    spec, status = body["spec"], body.get("status") or {}
    started = status.get("startTime")
    metadata = body["metadata"]
    return RunnerJob(
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        suspended=bool(spec.get("suspend")),
        queue=bounded((metadata.get("labels") or {}).get(labels.QUEUE_NAME), MAX_REASON),
        backoff_limit=spec.get("backoffLimit"),
        digest=(metadata.get("annotations") or {}).get(labels.TEMPLATE_DIGEST, ""),
        deadline=spec.get("activeDeadlineSeconds"),
        started=datetime.fromisoformat(started) if started else None,
        failed=status.get("failed", 0),
        result=_runner_result(status),
    )


def _runner_result(status: Mapping[str, Any]) -> JobResult | None:
    for each in status.get("conditions") or ():
        if each["type"] in {"Complete", "Failed"} and each["status"] == "True":
            succeeded = each["type"] == "Complete"
            time = (status.get("completionTime") if succeeded else None) or each["lastTransitionTime"]
            reason = bounded(each.get("reason") or each["type"], MAX_REASON)
            message = bounded(each.get("message"), MAX_MESSAGE)
            return JobResult(succeeded, reason, message, datetime.fromisoformat(time))
    return None


class FailedCreate(NamedTuple):
    """An Event of Kubernetes' Job controller: it could not create a pod."""

    job: str
    """Name of the Job."""
    time: datetime
    message: str


def trim_failed_create(body: Mapping[str, Any]) -> FailedCreate:
    """Keep of an Event in the cache what a reconcile reads."""
    times = (
        body.get("lastTimestamp"),
        (body.get("series") or {}).get("lastObservedTime"),
        body.get("eventTime"),
    )
    newest = max((datetime.fromisoformat(time) for time in times if time), default=None)
    return FailedCreate(
        job=body["involvedObject"]["name"],
        time=newest or datetime.fromisoformat(body["metadata"]["creationTimestamp"]),
        message=bounded(body.get("message"), MAX_MESSAGE),
    )


def job_uid(event: Mapping[str, Any]) -> str | None:
    """Return the uid of the object that an Event is about; the cache indexes Events by it."""
    uid: Any = event["involvedObject"].get("uid")
    return uid if isinstance(uid, str) else None


def cluster_of(body: Mapping[str, Any]) -> str:
    """Return the name of the cluster that a job runs on; the cache indexes jobs by it."""
    name: Any = (body.get("spec") or {}).get("clusterName")
    own: str = body["metadata"]["name"]
    return name if isinstance(name, str) else own


@dataclass(frozen=True, slots=True)
class Observed:
    """A job and its children.

    Attributes:
        record: The job.
        status: The status that was reported last.
        cluster: The cluster that the job runs on: the one in `spec.clusterName`, or its own.
        cluster_status: The status of that cluster.
        name_conflict: Whether the name of its own cluster belongs to a cluster that was not created for it.
        runner: The Job that runs the client, a `RunnerJob`.
        pods: The pods of the runner.
        failed_creates: Events that say why Kubernetes could not create a pod of the runner.
        expected: Resources of children that were created and are not in the cache yet.
    """

    record: Record
    status: DaskJobStatus
    cluster: Record | None
    cluster_status: DaskClusterStatus
    name_conflict: bool
    runner: Record | None
    pods: tuple[Record, ...]
    failed_creates: tuple[FailedCreate, ...]
    expected: frozenset[Resource]

    @classmethod
    def of(cls, record: Record, job: DaskJob, world: World) -> Self:
        """Read the state of a job from the cache."""
        named = world.get(Key(DASK_CLUSTERS, record.key.namespace, cluster_of(record.value)))
        own = next(iter(world.owned(record, DASK_CLUSTERS)), None)
        cluster = named if job.spec.cluster_name else own
        name = names.runner(record.key.name)
        runner = next((each for each in world.owned(record, JOBS) if each.key.name == name), None)
        return cls(
            record=record,
            status=DaskJobStatus.of(record.value),
            cluster=cluster,
            cluster_status=DaskClusterStatus.of(cluster.value if cluster else {}),
            name_conflict=cluster is None and named is not None,
            runner=runner,
            pods=tuple(world.owned(runner, PODS)) if runner else (),
            failed_creates=tuple(
                event.value for event in world.find(EVENTS, record.key.namespace, runner.uid)
            )
            if runner
            else (),
            expected=frozenset(each for each in (DASK_CLUSTERS, JOBS) if world.expected(record, each)),
        )

    @property
    def live_cluster(self) -> Record | None:
        """The cluster, unless it is being deleted."""
        return None if self.cluster is None or self.cluster.deleting else self.cluster

    @property
    def scheduler_address(self) -> str | None:
        """The address of the scheduler, None until it is ready."""
        ready = find(self.cluster_status.conditions, "SchedulerReady")
        if self.live_cluster is None or ready is None or ready.status != "True":
            return None
        return self.cluster_status.scheduler_address

    @property
    def runner_recorded(self) -> bool:
        """Whether the status names this runner, so that no other one can start."""
        return self.runner is not None and self.status.runner_uid == self.runner.uid

    @property
    def cluster_recorded(self) -> bool:
        """Whether the status names this cluster as the one that the runner starts on."""
        return self.cluster is not None and self.status.cluster_uid == self.cluster.uid

    @property
    def runner_suspended(self) -> bool:
        """Whether there is a runner, and it is suspended."""
        return self.runner is not None and self.runner.value.suspended

    @property
    def runner_may_run(self) -> bool:
        """Whether there is a runner that may have pods: it has neither finished, nor is it suspended."""
        return self.runner is not None and self.runner.value.result is None and not self.runner_suspended

    @property
    def newest_pod(self) -> Record | None:
        """The newest pod of the runner."""
        return max(self.pods, key=lambda pod: (pod.value.created, pod.key.name), default=None)

    @property
    def failed_create(self) -> FailedCreate | None:
        """Why the pod that the runner needs now could not be created; None if that is not known."""
        if self.runner is None:
            return None
        since = [self.runner.value.started or self.runner.value.created]
        since += [datetime.fromisoformat(pod.value.created) for pod in self.pods]
        newest = max(self.failed_creates, key=lambda event: event.time, default=None)
        return None if newest is None or newest.time < max(since) else newest

    @property
    def has_run(self) -> bool:
        """Whether the runner has started; a pod that is being deleted may be from before `suspend`."""
        if self.runner is None:
            return False
        runner: RunnerJob = self.runner.value
        if runner.failed or runner.result is not None or self.status.job_status == "Running":
            return True
        return any(pod.value.phase != "Pending" and not pod.deleting for pod in self.pods)
