"""What the cache shows of a worker group: its cluster and its pods. No await."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, Self

from dask_k8s_controller.dask.pods.view import is_lost
from dask_k8s_controller.dask.world import World
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, InvalidObject
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS


class Cluster(NamedTuple):
    """The cluster of a worker group: its record and its parsed form."""

    record: Record
    value: DaskCluster

    @classmethod
    def of(cls, record: Record, group: DaskWorkerGroup, world: World) -> Self | None:
        """Return the cluster that a group names; None if it is deleted, invalid, or not the group's owner."""
        found = world.get(Key(DASK_CLUSTERS, record.key.namespace, group.spec.cluster))
        if found is None or found.deleting:
            return None
        if record.owner is not None and not record.is_controlled_by(found):
            return None
        try:
            return cls(found, DaskCluster.parse(found.value))
        except InvalidObject:
            return None


@dataclass(frozen=True, slots=True)
class Observed:
    """The workers of a group by what they are doing; a pod is in one of the first three tuples."""

    living: tuple[Record, ...]
    finished: tuple[Record, ...]
    terminating: tuple[Record, ...]
    expected: frozenset[str]
    """Names of pods that we created and the cache does not show yet."""
    doubted: tuple[str, ...] = ()
    """Names of pods that may exist, since the API server did not answer when we created them."""
    digest: str = ""
    """Digest of the current template; workers with another one are outdated."""
    in_order: frozenset[str] = frozenset()
    """The uids of workers that ended in order."""

    @classmethod
    def of(
        cls, record: Record, world: World, digest: str = "", in_order: frozenset[str] = frozenset()
    ) -> Self:
        """Read the cache."""
        doubted = world.doubted(record, PODS)
        found = cls.of_pods(world.owned(record, PODS), world.expected(record, PODS), doubted, digest)
        return replace(found, in_order=in_order)

    @classmethod
    def of_pods(
        cls,
        pods: Sequence[Record],
        expected: Collection[str] = (),
        doubted: Sequence[str] = (),
        digest: str = "",
    ) -> Self:
        """Sort the pods of a group."""
        living: list[Record] = []
        finished: list[Record] = []
        terminating: list[Record] = []
        for pod in pods:
            (terminating if pod.deleting else finished if pod.value.finished else living).append(pod)
        return cls(
            living=tuple(living),
            finished=tuple(finished),
            terminating=tuple(terminating),
            expected=frozenset(expected) - {pod.key.name for pod in pods},
            doubted=tuple(doubted),
            digest=digest,
        )

    @property
    def count(self) -> int:
        """How many workers there are, those that the cache does not show yet included."""
        return len(self.living) + len(self.expected)

    @property
    def ready(self) -> int:
        """How many workers are ready."""
        return sum(pod.value.ready for pod in self.living)

    @property
    def backing_off(self) -> tuple[Record, ...]:
        """Workers that ended in order, and that the kubelet would restart only after a back-off."""
        return tuple(pod for pod in self.living if pod.uid in self.in_order)

    def surplus(self, replicas: int) -> int:
        """Return how many living workers are too many; an expected one counts once the cache shows it."""
        return max(0, len(self.living) - replicas)

    @property
    def updated(self) -> int:
        """How many workers are created from the current template."""
        return self.count - sum(1 for pod in self.living if pod.value.outdated(self.digest))

    @property
    def names(self) -> set[str]:
        """Names of pods that exist or are expected."""
        return {pod.key.name for pod in (*self.living, *self.finished, *self.terminating)} | self.expected


def run_on(terminating: Sequence[Record], now: datetime) -> tuple[Record, ...]:
    """Return the terminating workers that still run, in a preStop hook; not lost ones."""
    alive = (pod for pod in terminating if pod.value.has_pre_stop and pod.value.running)
    return tuple(pod for pod in alive if not is_lost(pod, now))


def newest_first(pods: Sequence[Record]) -> list[Record]:
    """Sort pods by age, and those of the same second by name, so that the order is always the same."""
    by_name = sorted(pods, key=lambda pod: pod.key.name)
    return sorted(by_name, key=lambda pod: pod.value.created, reverse=True)
