"""Desired state: a DaskCluster in, manifests out. No await, no clock, no environment."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller import given
from dask_k8s_controller.agent import delivery
from dask_k8s_controller.pods import keeps_legacy_commands, pod_spec, template_digest
from dask_k8s_crds import DaskCluster, labels, names, resources
from dask_k8s_crds.metadata import owner_reference
from dask_k8s_crds.templates import TemplateMetadata


@dataclass(frozen=True, slots=True)
class Family:
    """The children of a cluster, all of them."""

    agent: dict[str, Any]
    scheduler: dict[str, Any]
    service: dict[str, Any]
    default_group: dict[str, Any]


def family(cluster: DaskCluster, *, token: str, scheduler_name: str | None = None) -> Family:
    """Return the manifests of all children.

    ``token`` is what a new scheduler's agent will ask for; ``scheduler_name`` another than the usual name,
    where another pod holds that.
    """
    return Family(
        agent=_agent(cluster, token),
        scheduler=_scheduler(cluster, scheduler_name or names.scheduler(cluster.metadata.name)),
        service=_service(cluster),
        default_group=_default_group(cluster),
    )


def scheduler_digest(cluster: DaskCluster) -> str:
    """Return the digest of what the scheduler's pod is made from."""
    legacy = keeps_legacy_commands(cluster.metadata.annotations)
    return template_digest(cluster.spec.scheduler.spec, env={}, legacy_commands=legacy)


def _scheduler(cluster: DaskCluster, name: str) -> dict[str, Any]:
    metadata = _metadata(
        cluster, name, cluster.spec.scheduler.metadata, labels.scheduler(cluster.metadata.name)
    )
    legacy = keeps_legacy_commands(cluster.metadata.annotations)
    spec = pod_spec(cluster.spec.scheduler.spec, env={}, legacy_commands=legacy)
    delivery.deliver(spec, names.agent(cluster.metadata.name))
    given.note(metadata)
    metadata["annotations"][labels.TEMPLATE_DIGEST] = scheduler_digest(cluster)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _agent(cluster: DaskCluster, token: str) -> dict[str, Any]:
    own_labels = labels.agent(cluster.metadata.name)
    metadata = _metadata(cluster, names.agent(cluster.metadata.name), TemplateMetadata(), own_labels)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": delivery.data(token)}


def _service(cluster: DaskCluster) -> dict[str, Any]:
    own_labels = labels.scheduler(cluster.metadata.name)
    spec = {"selector": own_labels, **copy.deepcopy(dict(cluster.spec.scheduler.service))}
    metadata = _metadata(
        cluster, names.scheduler(cluster.metadata.name), cluster.spec.scheduler.metadata, own_labels
    )
    given.note(metadata, spec=spec)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _default_group(cluster: DaskCluster) -> dict[str, Any]:
    worker = cluster.spec.worker
    name = cluster.metadata.name
    metadata = _metadata(cluster, names.default_group(name), TemplateMetadata(), labels.worker_group(name))
    template = {
        "labels": dict(worker.metadata.labels),
        "annotations": dict(worker.metadata.annotations),
    }
    made_from = {
        "metadata": template,
        "spec": copy.deepcopy(dict(worker.spec)),
        **({"daskResources": dict(worker.dask_resources)} if worker.dask_resources else {}),
    }
    given.note(metadata, worker=made_from)
    metadata["annotations"][labels.CLUSTER_REPLICAS] = str(worker.replicas)
    return {
        "apiVersion": resources.API_VERSION,
        "kind": resources.DASK_WORKER_GROUPS.kind,
        "metadata": metadata,
        "spec": {"cluster": name, "worker": {"replicas": worker.replicas, **made_from}},
    }


def _metadata(
    cluster: DaskCluster, name: str, section: TemplateMetadata, reserved: dict[str, str]
) -> dict[str, Any]:
    """Labels and annotations pass from the cluster to the section to the child; reserved ones are ours."""
    metadata = cluster.metadata
    return {
        "name": name,
        "namespace": metadata.namespace,
        "labels": {**labels.ISTIO_DEFAULT, **metadata.labels, **section.labels, **reserved},
        "annotations": _unreserved({**labels.inherited(metadata.annotations), **section.annotations}),
        "ownerReferences": [owner_reference(resources.DASK_CLUSTERS, metadata)],
    }


def _unreserved(annotations: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if name not in labels.BOOKKEEPING}
