"""What the cache shows of a cluster and its children. No await."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import orjson

from dask_k8s_controller.dask.last_applied import recorded
from dask_k8s_controller.dask.scheduler.pod import current
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.object_errors import conditions_of
from dask_k8s_controller.runtime.objects import Body, Key, controller_of
from dask_k8s_crds import Condition, DaskCluster, DaskJobStatus, DaskWorkerGroupStatus, names
from dask_k8s_crds.conditions import find
from dask_k8s_crds.resources import (
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    SERVICES,
)

MAX_SERVICE = 2**16
"""Bytes of the largest spec of a scheduler's Service, with the record of what we applied."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the cache keeps of the scheduler's Service."""

    spec: Body
    has_ingress: bool
    last_applied: str = ""
    """The record of the labels, annotations and fields that we applied last."""

    @property
    def reachable(self) -> bool:
        """Whether it has the address that its type promises."""
        return self.spec.get("type") != "LoadBalancer" or self.has_ingress


def trim_service(body: Body) -> Service:
    """Return what the cache keeps of a Service."""
    ingress = ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    owner = controller_of(body)
    if owner is None or (owner.group, owner.kind) != (DASK_CLUSTERS.group, DASK_CLUSTERS.kind):
        # Of others it only counts that they exist: anybody can create one with our labels.
        return Service(spec={}, has_ingress=bool(ingress))
    size = len(orjson.dumps(body["spec"])) + len(recorded(body))
    if size > MAX_SERVICE:
        raise ValueError(f"its spec and our record of it have {size} bytes, more than {MAX_SERVICE}")
    return Service(spec=body["spec"], has_ingress=bool(ingress), last_applied=recorded(body))


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """What a cluster's reconcile reads of a worker group, which may break a rule of its resource."""

    key: Key
    version: int
    has_controller: bool
    owner_references: tuple[Body, ...]
    annotations: Mapping[str, str]
    generation: int | None
    last_applied: str
    worker: Body
    """Its ``spec.worker``, not validated."""
    status: DaskWorkerGroupStatus

    @classmethod
    def of(cls, record: Record) -> Self:
        """Parse the record of a worker group."""
        metadata = record.value["metadata"]
        return cls(
            key=record.key,
            version=record.version,
            has_controller=record.owner is not None,
            owner_references=tuple(metadata.get("ownerReferences") or ()),
            annotations=metadata.get("annotations") or {},
            generation=metadata.get("generation"),
            last_applied=recorded(record.value),
            worker=(record.value.get("spec") or {}).get("worker") or {},
            status=DaskWorkerGroupStatus.of(record.value),
        )

    @property
    def replicas(self) -> int:
        """How many workers it should have."""
        replicas: int = self.worker.get("replicas", 1)
        return replicas


@dataclass(frozen=True, slots=True)
class OwnerJob:
    """The DaskJob that created a cluster; ``ended`` is None while it is active."""

    name: str
    ended: datetime | None

    @classmethod
    def of(cls, record: Record, world: World) -> Self | None:
        """Return the job that controls a cluster; None if no job does, or jobs are not watched."""
        owner = record.owner
        if owner is None or (owner.group, owner.kind) != (DASK_JOBS.group, DASK_JOBS.kind):
            return None
        job = world.get(Key(DASK_JOBS, record.key.namespace, owner.name))
        if job is None or job.uid != owner.uid:
            return None
        return cls(name=owner.name, ended=DaskJobStatus.of(job.value).end_time)


@dataclass(frozen=True, slots=True)
class Observed:
    """A cluster's children, and all worker groups that name it in their spec, including those of users."""

    schedulers: tuple[Record, ...]
    """Its own, and the terminating scheduler of a deleted cluster with the same name."""
    token: str = field(repr=False)
    """The token of the scheduler's agent."""
    service: Record | None
    groups: tuple[WorkerGroup, ...]
    expected: frozenset[Key]
    """Children that we created and the cache does not show yet."""
    key_since: datetime
    """Since when the controller has had the key from which the token is derived."""
    mismatch: Condition | None = None
    """The condition `TokenMismatch`, which this or another controller reported."""
    job: OwnerJob | None = None
    """The job that created the cluster."""

    @classmethod
    def of(cls, record: Record, world: World) -> Self:
        """Read the cache."""
        namespace, name = record.key.namespace, record.key.name
        services = (each for each in world.owned(record, SERVICES) if not each.deleting)
        return cls(
            schedulers=_schedulers(record, world),
            token=world.agent_token(record),
            service=next((each for each in services if each.key.name == names.scheduler(name)), None),
            groups=tuple(
                WorkerGroup.of(group)
                for group in world.find(DASK_WORKER_GROUPS, namespace, name)
                if not group.deleting and (group.owner is None or group.is_controlled_by(record))
            ),
            expected=frozenset(
                Key(resource, namespace, child)
                for resource in (PODS, SECRETS, SERVICES, DASK_WORKER_GROUPS)
                for child in world.expected(record, resource)
            ),
            key_since=world.key_since(),
            mismatch=find(conditions_of(record.value), "TokenMismatch"),
            job=OwnerJob.of(record, world),
        )

    @property
    def scheduler(self) -> Record | None:
        """The pod that is the scheduler, if there is one."""
        return current(self.schedulers)

    @property
    def pods(self) -> int:
        """How many pods there are, with the workers that the groups report, retiring ones included."""
        return len(self.schedulers) + self.workers

    @property
    def workers(self) -> int:
        """How many workers the groups report, retiring ones included."""
        return sum((group.status.replicas or 0) + (group.status.retiring or 0) for group in self.groups)

    def default_group(self, cluster: DaskCluster) -> WorkerGroup | None:
        """Return the worker group that was created with the cluster."""
        name = names.default_group(cluster.metadata.name)
        return next((group for group in self.groups if group.key.name == name), None)


def _schedulers(record: Record, world: World) -> tuple[Record, ...]:
    own = world.owned(record, PODS)
    usual = world.get(Key(PODS, record.key.namespace, names.scheduler(record.key.name)))
    if usual is None or not usual.deleting or any(pod.key == usual.key for pod in own):
        return tuple(own)
    return (*own, usual)
