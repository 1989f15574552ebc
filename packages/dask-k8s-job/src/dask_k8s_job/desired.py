"""Desired: the manifests of the children of a DaskJob. Pure."""

from typing import Any

from dask_k8s_controller import digest, keeps_legacy_commands, pod_spec
from dask_k8s_crds import DaskJob, labels, names
from dask_k8s_crds.metadata import child_metadata
from dask_k8s_crds.model import INT32_MAX
from dask_k8s_crds.resources import API_VERSION, DASK_CLUSTERS, DASK_JOBS

UNLIMITED_RETRIES = INT32_MAX
"""The largest `backoffLimit` of a Job."""


def cluster(job: DaskJob) -> dict[str, Any] | None:
    """Return the job's own cluster, without workers: they start after the runner."""
    if job.spec.cluster is None:
        return None
    spec = job.spec.cluster.spec.to_dict()
    metadata = child_metadata(
        (DASK_JOBS, job.metadata), job.metadata.name, job.spec.cluster.metadata, reserved={}, defaults={}
    )
    metadata["annotations"] |= {labels.JOB_REPLICAS: "0", labels.TEMPLATE_DIGEST: cluster_digest(job)}
    return {
        "apiVersion": API_VERSION,
        "kind": DASK_CLUSTERS.kind,
        "metadata": metadata,
        "spec": {**spec, "worker": {**spec["worker"], "replicas": 0}},
    }


def cluster_digest(job: DaskJob) -> str:
    """Return the digest of what the job's own cluster is created from; empty if it has none."""
    return digest(job.spec.cluster.to_dict()) if job.spec.cluster else ""


def runner_digest(job: DaskJob) -> str:
    """Return the digest of the fields that the API server does not allow to change in the runner's Job."""
    return digest([job.spec.job.to_dict(), job.spec.pod_failure_policy])


def workers(job: DaskJob) -> int:
    """Return how many workers the job's own cluster has once the runner has a pod."""
    return job.spec.cluster.spec.worker.replicas if job.spec.cluster else 0


def runner(job: DaskJob, address: str) -> dict[str, Any]:
    """Return the Job that runs the client, suspended; `address` is that of the scheduler."""
    template = job.spec.job
    reserved = labels.job_runner(job.spec.cluster_name or job.metadata.name)
    metadata = child_metadata(
        (DASK_JOBS, job.metadata),
        names.runner(job.metadata.name),
        template.metadata.model_copy(update={"labels": labels.without_queue(template.metadata.labels)}),
        reserved=reserved,
        defaults={},
    )
    own_labels = {**labels.ISTIO_DEFAULT, **metadata["labels"]}
    spec = pod_spec(
        template.spec,
        env={"DASK_SCHEDULER_ADDRESS": address},
        legacy_commands=keeps_legacy_commands(job.metadata.annotations),
    )
    limits = {**changeable_limits(job), "podFailurePolicy": job.spec.pod_failure_policy}
    annotations = {**metadata["annotations"], labels.TEMPLATE_DIGEST: runner_digest(job)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            "suspend": True,
            **{name: limit for name, limit in limits.items() if limit is not None},
            "template": {
                "metadata": {"labels": own_labels, "annotations": metadata["annotations"]},
                "spec": spec,
            },
        },
    }


def changeable_limits(job: DaskJob) -> dict[str, int | None]:
    """Return the limits that the API server allows to change in the runner's Job; None for no limit."""
    return {
        "backoffLimit": backoff_limit(job),
        "activeDeadlineSeconds": job.spec.active_deadline_seconds,
    }


def backoff_limit(job: DaskJob) -> int:
    """Return the `backoffLimit` of the runner; the default depends on its restart policy."""
    if job.spec.backoff_limit is not None:
        return job.spec.backoff_limit
    return 0 if job.spec.job.spec["restartPolicy"] == "Never" else UNLIMITED_RETRIES
