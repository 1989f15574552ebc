"""Observed state: what the cache shows of a cluster's children. No await."""

from dataclasses import dataclass
from typing import Any, Self

from dask_k8s_controller.dask.last_applied import recorded
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_crds import DaskCluster, names
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES


@dataclass(frozen=True, slots=True)
class Service:
    """What is remembered of the scheduler's service."""

    spec: Body
    has_ingress: bool
    last_applied: str = ""
    """The record of the labels, annotations and fields that we applied last."""

    @property
    def reachable(self) -> bool:
        """Whether it has the address that its type promises."""
        return self.spec.get("type") != "LoadBalancer" or self.has_ingress


def trim_service(body: Body) -> Service:
    """Keep what a reconcile reads of a service."""
    ingress = ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return Service(spec=body["spec"], has_ingress=bool(ingress), last_applied=recorded(body))


def cluster_of_group(body: Body) -> str | None:
    """Return the name of the cluster that a worker group belongs to."""
    name: Any = (body.get("spec") or {}).get("cluster")
    return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Observed:
    """The children of a cluster, and the groups that belong to it by name, whoever made them."""

    schedulers: tuple[Record, ...]
    """Its own, and one of an earlier cluster of its name that still terminates."""
    agent: Record | None
    """The Secret with the agent and its token."""
    service: Record | None
    groups: tuple[Record, ...]
    expected: frozenset[Key]
    """Children that were made and are not in the cache yet."""

    @classmethod
    def of(cls, record: Record, world: World) -> Self:
        """Look at the cache."""
        namespace, name = record.key.namespace, record.key.name
        services = [service for service in world.owned(record.uid, SERVICES) if not service.deleting]
        expected = {
            Key(resource, namespace, child)
            for resource in (PODS, SECRETS, SERVICES, DASK_WORKER_GROUPS)
            for child in world.expected(record.uid, resource)
        }
        schedulers = world.owned(record.uid, PODS)
        holder = world.get(Key(PODS, namespace, names.scheduler(name)))
        if (
            holder is not None
            and holder.deleting
            and holder.key.name not in {pod.key.name for pod in schedulers}
        ):
            # That of an earlier cluster of this name.
            schedulers.append(holder)
        return cls(
            schedulers=tuple(schedulers),
            agent=next((each for each in world.owned(record.uid, SECRETS) if not each.deleting), None),
            service=next(
                (service for service in services if service.key.name == names.scheduler(name)), None
            ),
            groups=tuple(
                group
                for group in world.find(DASK_WORKER_GROUPS, namespace, name)
                if not group.deleting and (group.owner is None or group.owner.uid == record.uid)
            ),
            expected=frozenset(expected),
        )

    @property
    def scheduler(self) -> Record | None:
        """The scheduler that lives: the oldest, should there be two."""
        living = [pod for pod in self.schedulers if not pod.deleting and not pod.value.finished]
        return min(living, key=lambda pod: (pod.value.created, pod.key.name), default=None)

    @property
    def replicas(self) -> int:
        """How many workers the groups report, those on their way out not counted."""
        return self._sum("replicas")

    @property
    def retiring(self) -> int:
        """How many workers the groups report to be on their way out."""
        return self._sum("retiring")

    def _sum(self, number: str) -> int:
        total: int = sum((group.value.get("status") or {}).get(number, 0) for group in self.groups)
        return total

    def default_group(self, cluster: DaskCluster) -> Record | None:
        """Return the group that comes with the cluster."""
        name = names.default_group(cluster.metadata.name)
        return next((group for group in self.groups if group.key.name == name), None)


def clusters_of_group(group: Record, world: World) -> list[Key]:  # noqa: ARG001
    """A group rings the cluster that it names."""
    return [Key(DASK_CLUSTERS, group.key.namespace, group.indexed)] if group.indexed else []


def groups_of_cluster(cluster: Record, world: World) -> list[Key]:
    """A cluster rings the groups that name it."""
    return [group.key for group in world.find(DASK_WORKER_GROUPS, cluster.key.namespace, cluster.key.name)]
