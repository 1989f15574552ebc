"""The children that a DaskCluster should have, as manifests. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.pods.template import keeps_legacy_commands, pod_spec, template_digest
from dask_k8s_controller.dask.scheduler import agent_delivery
from dask_k8s_crds import DaskCluster, labels, names
from dask_k8s_crds.metadata import child_metadata
from dask_k8s_crds.resources import API_VERSION, DASK_CLUSTERS, DASK_WORKER_GROUPS
from dask_k8s_crds.templates import TemplateMetadata


@dataclass(frozen=True, slots=True)
class Children:
    """All children of a cluster but the agent's Secret, which is created only when a scheduler needs it."""

    scheduler: dict[str, Any]
    service: dict[str, Any]
    default_group: dict[str, Any]


def children(cluster: DaskCluster, *, token: str, scheduler_name: str | None = None) -> Children:
    """Return the manifests of the children.

    Args:
        cluster: The cluster.
        token: The token of the scheduler's agent.
        scheduler_name: The name of the scheduler's pod if a terminating pod holds the usual one.
    """
    return Children(
        scheduler=_scheduler(cluster, scheduler_name or names.scheduler(cluster.metadata.name), token),
        service=_service(cluster),
        default_group=_default_group(cluster),
    )


def scheduler_digest(cluster: DaskCluster) -> str:
    """Return the digest of the template of the scheduler's pod."""
    legacy = keeps_legacy_commands(cluster.metadata.annotations)
    template = cluster.spec.scheduler
    restarts = [labels.replacing(template.metadata.annotations)]
    return template_digest(template.spec, env={}, legacy_commands=legacy, restarts=restarts)


def agent_secret_name(cluster: DaskCluster, token: str) -> str:
    """Return the name of the Secret with the agent of this version and its token."""
    return names.agent(cluster.metadata.name, token=token, file=agent_delivery.digest())


def agent_secret(cluster: DaskCluster, token: str) -> dict[str, Any]:
    """Return the manifest of the Secret with the agent of this version and its token."""
    metadata = _metadata(cluster, agent_secret_name(cluster, token), labels.agent(cluster.metadata.name))
    # Its name contains a digest of its content, so it never changes, and kubelets need not watch it.
    content = {"immutable": True, "data": agent_delivery.data(token)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **content}


def _scheduler(cluster: DaskCluster, name: str, token: str) -> dict[str, Any]:
    template, own_labels = cluster.spec.scheduler, labels.scheduler(cluster.metadata.name)
    metadata = _metadata(cluster, name, own_labels, template.metadata)
    legacy = keeps_legacy_commands(cluster.metadata.annotations)
    spec = pod_spec(template.spec, env={}, legacy_commands=legacy)
    agent_delivery.deliver(spec, agent_secret_name(cluster, token))
    last_applied.record(metadata)
    metadata["annotations"][labels.TEMPLATE_DIGEST] = scheduler_digest(cluster)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _service(cluster: DaskCluster) -> dict[str, Any]:
    name, own_labels = names.scheduler(cluster.metadata.name), labels.scheduler(cluster.metadata.name)
    spec = {"selector": own_labels, **cluster.spec.scheduler.service}
    metadata = _metadata(cluster, name, own_labels, cluster.spec.scheduler.metadata)
    last_applied.record(metadata, spec=spec)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _default_group(cluster: DaskCluster) -> dict[str, Any]:
    worker, name = cluster.spec.worker, cluster.metadata.name
    own = worker.metadata
    metadata = _metadata(cluster, names.default_group(name), labels.worker_group(name), own)
    template = {
        "metadata": {"labels": dict(own.labels), "annotations": dict(own.annotations)},
        "spec": dict(worker.spec),
        **({"daskResources": dict(worker.dask_resources)} if worker.dask_resources else {}),
        # Fields of a later version, which a later controller would pass on too.
        **(worker.model_extra or {}),
    }
    last_applied.record(metadata, worker=template)
    metadata["annotations"][labels.CLUSTER_REPLICAS] = str(worker.replicas)
    return {
        "apiVersion": API_VERSION,
        "kind": DASK_WORKER_GROUPS.kind,
        "metadata": metadata,
        "spec": {"cluster": name, "worker": {"replicas": worker.replicas, **template}},
    }


def _metadata(
    cluster: DaskCluster, name: str, own: Mapping[str, str], template: TemplateMetadata | None = None
) -> dict[str, Any]:
    owner = DASK_CLUSTERS, cluster.metadata
    return child_metadata(owner, name, template or TemplateMetadata(), reserved=own)
