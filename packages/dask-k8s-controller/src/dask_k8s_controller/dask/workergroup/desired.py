"""The workers that a DaskWorkerGroup should have, as manifests. Pure."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, islice
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.pods.template import keeps_legacy_commands, pod_spec, template_digest
from dask_k8s_controller.dask.scheduler.addresses import scheduler_address
from dask_k8s_controller.runtime.plan import Create
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, names
from dask_k8s_crds.metadata import child_metadata
from dask_k8s_crds.resources import DASK_WORKER_GROUPS, PODS
from dask_k8s_crds.updates import UpdateStrategy

_NAME = {"DASK_WORKER_NAME": {"fieldRef": {"fieldPath": "metadata.name"}}}
"""A reference, so that the manifests of all workers of a group are equal apart from their names."""


def worker_names(
    group: DaskWorkerGroup, number: int, used: Collection[str], doubted: Sequence[str] = ()
) -> list[str]:
    """Return the next unused names of workers, names of pods that may exist (``doubted``) first.

    The other names depend on the group and its pods alone. Thus two controllers, or one that restarted,
    choose the same names, and the API server refuses the second pod of a name.
    """
    metadata = group.metadata
    usual = (names.worker(metadata.name, metadata.uid or "", ordinal) for ordinal in count())
    candidates = chain(doubted, (name for name in usual if name not in doubted))
    return list(islice((name for name in candidates if name not in used), number))


@dataclass(frozen=True)
class Desired:
    """The workers of a group in a cluster; ``domain`` is the DNS domain of the Kubernetes cluster."""

    group: DaskWorkerGroup
    cluster: DaskCluster
    domain: str

    @property
    def suspended(self) -> bool:
        """Whether the cluster should have no pods."""
        return self.cluster.spec.suspend

    @property
    def replicas(self) -> int:
        """How many workers there should be."""
        return 0 if self.suspended else self.group.spec.worker.replicas

    @property
    def strategy(self) -> UpdateStrategy:
        """How outdated workers are replaced."""
        return self.group.spec.update_strategy or self.cluster.spec.update_strategy

    @cached_property
    def digest(self) -> str:
        """Digest of the template of the workers."""
        template, legacy = self.group.spec.worker.spec, self._keeps_legacy_commands
        restarts = [
            labels.replacing(self.group.spec.worker.metadata.annotations),
            *(each.metadata.annotations.get(labels.RESTARTED_AT) for each in (self.group, self.cluster)),
        ]
        return template_digest(template, env=self._env, legacy_commands=legacy, restarts=restarts)

    @cached_property
    def pod(self) -> dict[str, Any]:
        """A worker without a name: what all workers have in common."""
        template, legacy = self.group.spec.worker.spec, self._keeps_legacy_commands
        spec = pod_spec(template, env={**_NAME, **self._env}, legacy_commands=legacy)
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._metadata(), "spec": spec}

    def creations(self, worker_names: Iterable[str], *, failures: int = 0) -> Iterator[Create]:
        """Yield the creation of a worker for each name; all share one manifest.

        ``failures`` predecessors ended by themselves, one after another.
        """
        manifest = self.pod
        if failures:
            metadata = manifest["metadata"]
            annotations = {**metadata["annotations"], labels.FAILURES: str(failures)}
            manifest = {**manifest, "metadata": {**metadata, "annotations": annotations}}
        return (Create(PODS, manifest, name) for name in worker_names)

    def _metadata(self) -> dict[str, Any]:
        group = self.group
        reserved = labels.worker(group.spec.cluster, group.metadata.name)
        owner = DASK_WORKER_GROUPS, group.metadata
        metadata = child_metadata(owner, "", group.spec.worker.metadata, reserved=reserved)
        last_applied.record(metadata)
        metadata["annotations"][labels.TEMPLATE_DIGEST] = self.digest
        return metadata

    @property
    def _keeps_legacy_commands(self) -> bool:
        return keeps_legacy_commands(self.group.metadata.annotations)

    @cached_property
    def _env(self) -> Mapping[str, str]:
        """Environment variables that all workers of the group share.

        One variable sets all Dask resources, since names in Dask's configuration are case-insensitive.
        """
        resources = self.group.spec.worker.dask_resources
        offered = {"DASK_DISTRIBUTED__WORKER__RESOURCES": json.dumps(dict(resources))} if resources else {}
        return {"DASK_SCHEDULER_ADDRESS": scheduler_address(self.cluster, self.domain), **offered}
