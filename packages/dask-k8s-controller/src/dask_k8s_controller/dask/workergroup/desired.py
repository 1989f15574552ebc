"""Desired state: a DaskWorkerGroup in, worker pods out. No await, no clock, no environment."""

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, count, islice
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.pods import keeps_legacy_commands, pod_spec, template_digest
from dask_k8s_controller.dask.scheduler.addresses import scheduler_address
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, names
from dask_k8s_crds.metadata import child_metadata
from dask_k8s_crds.resources import DASK_WORKER_GROUPS


def worker_names(
    group: DaskWorkerGroup, number: int, taken: Collection[str], doubted: Sequence[str] = ()
) -> list[str]:
    """Return the next names of workers that are not taken, first those of which somebody doubts it.

    But for those they follow from the group and its pods alone, and from nothing that a controller
    remembers, so that two of them, or one that lost its memory, choose the same ones and the API server
    refuses the second.
    """
    metadata = group.metadata
    usual = (names.worker(metadata.name, metadata.uid or "", ordinal) for ordinal in count())
    candidates = chain(doubted, (name for name in usual if name not in doubted))
    return list(islice((name for name in candidates if name not in taken), number))


def workers(
    group: DaskWorkerGroup,
    cluster: DaskCluster,
    worker_names: Collection[str],
    *,
    domain: str,
    failures: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield a pod for each name, after so many that failed in a row."""
    template = group.spec.worker.spec
    legacy = keeps_legacy_commands(group.metadata.annotations)
    shared = _environment(group, cluster, domain)
    metadata = _metadata(group, template_digest(template, env=shared, legacy_commands=legacy))
    if failures:
        metadata["annotations"][labels.FAILURES] = str(failures)
    for name in worker_names:
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "name": name},
            "spec": pod_spec(template, env={"DASK_WORKER_NAME": name, **shared}, legacy_commands=legacy),
        }


def example(group: DaskWorkerGroup, cluster: DaskCluster, *, domain: str) -> dict[str, Any]:
    """Return what is the same in all workers of a group, as a pod without a name."""
    return next(workers(group, cluster, [""], domain=domain))


def _metadata(group: DaskWorkerGroup, digest: str) -> dict[str, Any]:
    reserved = labels.worker(group.spec.cluster, group.metadata.name)
    owner = DASK_WORKER_GROUPS, group.metadata
    metadata = child_metadata(owner, "", group.spec.worker.metadata, reserved=reserved)
    last_applied.record(metadata)
    metadata["annotations"][labels.TEMPLATE_DIGEST] = digest
    return metadata


def _environment(group: DaskWorkerGroup, cluster: DaskCluster, domain: str) -> dict[str, str]:
    """As all workers of the group have it; one variable for all Dask resources.

    Names in Dask's configuration are not told apart by case.
    """
    resources = group.spec.worker.dask_resources
    offered = {"DASK_DISTRIBUTED__WORKER__RESOURCES": json.dumps(dict(resources))} if resources else {}
    return {"DASK_SCHEDULER_ADDRESS": scheduler_address(cluster, domain), **offered}
