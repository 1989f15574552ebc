"""Builders of Dask's resources: clusters, worker groups, autoscalers, jobs. Pure."""

import copy
from collections.abc import Mapping
from typing import Any, Unpack

from dask_k8s_client.arguments import (
    JSON,
    Command,
    Duration,
    Env,
    JobArguments,
    PodArguments,
    Resources,
    Tolerations,
    WorkloadArguments,
    checked_count,
    checked_resources,
    shows,
    whole_seconds,
)
from dask_k8s_client.specs import pods
from dask_k8s_crds import labels as reserved
from dask_k8s_crds import names
from dask_k8s_crds.resources import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_JOBS, DASK_WORKER_GROUPS, Resource

IMAGE = "ghcr.io/dask/dask:latest"
WORKER_COMMAND = "dask worker"


@shows("service_account_name image_pull_secrets priority_class_name volumes volume_mounts run_as_user")
def make_cluster_spec(  # noqa: PLR0913, PLR0917  # users may pass these by position
    name: str,
    image: str = IMAGE,
    n_workers: int | None = None,
    resources: Resources | None = None,
    env: Env | None = None,
    worker_command: Command = WORKER_COMMAND,
    scheduler_service_type: str = "ClusterIP",
    idle_timeout: Duration = 0,
    jupyter: bool = False,  # noqa: FBT001, FBT002
    *,
    scheduler_resources: Resources | None = None,
    scheduler_node_selector: Mapping[str, str] | None = None,
    scheduler_tolerations: Tolerations | None = None,
    worker_node_selector: Mapping[str, str] | None = None,
    worker_tolerations: Tolerations | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **pod: Unpack[PodArguments],
) -> JSON:
    """Return a ``DaskCluster`` resource, to be changed or passed to ``KubeCluster`` or ``kubectl apply``.

    Args:
        name: Name of the cluster.
        image: Container image of the scheduler and the workers.
        n_workers: Number of workers in the default worker group; 1 by default.
        resources: ``limits`` and ``requests`` of each worker; the scheduler does not get them.
        env: Environment variables of the scheduler and the workers: a dict, or a list as in a Pod.
        worker_command: Command that starts a worker; its name and dashboard port are appended.
        scheduler_service_type: ``ClusterIP``, ``NodePort`` or ``LoadBalancer``.
        idle_timeout: Delete the cluster after it has been idle for this long: a number of seconds or a text
            such as ``"1 hour"``, rounded up to whole seconds; 0 means never.
        jupyter: Start a Jupyter server beside the dashboard.
        scheduler_resources: ``limits`` and ``requests`` of the scheduler.
        scheduler_node_selector: Labels of the nodes that the scheduler may run on.
        scheduler_tolerations: Tolerations of the scheduler, as in a Pod.
        worker_node_selector: Labels of the nodes that the workers may run on.
        worker_tolerations: Tolerations of the workers, as in a Pod.
        labels: Labels of the cluster, and so of everything that is created for it.
        annotations: Annotations of the same objects.
        service_account_name: Service account of all pods.
        image_pull_secrets: Names of the Secrets for the registry of the image, or one name.
        priority_class_name: Priority class of all pods.
        volumes: Volumes of all pods, as in a Pod.
        volume_mounts: Where these are mounted in the scheduler and the workers, as in a container.
        run_as_user: User ID that all pods run as, without privileges, as the `restricted` Pod Security
            Standard demands. By default that of the image.

    Raises:
        ValueError, TypeError: An argument is invalid; the message begins with its name.
    """
    scheduler = make_scheduler_spec(
        name,
        env=env,
        resources=checked_resources(scheduler_resources, "scheduler_resources"),
        image=image,
        scheduler_service_type=scheduler_service_type,
        jupyter=jupyter,
        node_selector=scheduler_node_selector,
        tolerations=scheduler_tolerations,
        **pod,
    )
    worker = make_worker_spec(
        image,
        n_workers,
        resources,
        env,
        worker_command,
        node_selector=worker_node_selector,
        tolerations=worker_tolerations,
        **pod,
    )
    idle = whole_seconds("idle_timeout", idle_timeout)
    spec = {"idleTimeout": idle, "scheduler": scheduler, "worker": worker}
    return _manifest(DASK_CLUSTERS, _metadata(name, labels, annotations), spec)


def make_worker_spec(  # noqa: PLR0913  # users may pass these by position
    image: str = IMAGE,
    n_workers: int | None = 3,
    resources: Resources | None = None,
    env: Env | None = None,
    worker_command: Command = WORKER_COMMAND,
    *,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Tolerations | None = None,
    **pod: Unpack[PodArguments],
) -> JSON:
    """Return the ``worker`` section of a cluster or a worker group. Arguments as in ``make_cluster_spec``."""
    container: JSON = {
        "name": "worker",
        "image": image,
        "args": pods.worker_args(worker_command),
        "ports": [{"name": "http-dashboard", "containerPort": pods.WORKER_DASHBOARD_PORT, "protocol": "TCP"}],
        **pods.editable(env, resources),
    }
    replicas = {} if n_workers is None else {"replicas": checked_count("n_workers", n_workers)}
    spec = {"containers": [container], **pods.placement(node_selector, tolerations)}
    return {**replicas, "spec": pods.with_shared(spec, **pod)}


def make_scheduler_spec(  # noqa: PLR0913, PLR0917  # users may pass these by position
    cluster_name: str,
    env: Env | None = None,
    resources: Resources | None = None,
    image: str = IMAGE,
    scheduler_service_type: str = "ClusterIP",
    jupyter: bool = False,  # noqa: FBT001, FBT002
    *,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Tolerations | None = None,
    **pod: Unpack[PodArguments],
) -> JSON:
    """Return the ``scheduler`` section of a cluster; ``resources`` are those of the scheduler.

    The other arguments are as in ``make_cluster_spec``.
    """
    health = {"httpGet": {"path": "/health", "port": "http-dashboard"}}
    ports = [("tcp-comm", names.SCHEDULER_PORT), ("http-dashboard", names.DASHBOARD_PORT)]
    container = {
        "name": "scheduler",
        "image": image,
        "args": ["dask", "scheduler", *(["--jupyter"] if jupyter else [])],
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports],
        # Probed each second, because all workers wait for it; it has five minutes to start.
        "startupProbe": {**copy.deepcopy(health), "periodSeconds": 1, "failureThreshold": 300},
        "readinessProbe": {**health, "periodSeconds": 10},
        "livenessProbe": {**copy.deepcopy(health), "initialDelaySeconds": 15, "periodSeconds": 20},
        **pods.editable(env, resources),
    }
    selector = reserved.scheduler(cluster_name)
    targets = [{"name": name, "port": port, "protocol": "TCP", "targetPort": name} for name, port in ports]
    service = {"type": scheduler_service_type, "selector": selector, "ports": targets}
    spec = {"containers": [container], **pods.placement(node_selector, tolerations)}
    return {"spec": pods.with_shared(spec, **pod), "service": service}


@shows(
    "image n_workers resources env worker_command cluster_name runner_resources scheduler_resources"
    " scheduler_node_selector scheduler_tolerations worker_node_selector worker_tolerations labels"
    " annotations service_account_name image_pull_secrets priority_class_name volumes volume_mounts"
    " run_as_user",
    rest="spec",
    image=IMAGE,
    worker_command=WORKER_COMMAND,
)
def make_job_spec(
    name: str, command: Command, *, cluster_name: str | None = None, **arguments: Unpack[JobArguments]
) -> JSON:
    """Return a ``DaskJob`` resource, to be changed or passed to ``run_job`` or ``kubectl apply``.

    Args:
        name: Name of the job.
        command: Command of the client, as a string or a list; ``Client()`` finds the scheduler there.
        cluster_name: Run on this existing cluster instead of a new one for the job.
        image: Container image of all pods, including the client's. `env`, `run_as_user`,
            `service_account_name`, `image_pull_secrets`, `priority_class_name` and the volumes are those of
            all pods, too; `labels` and `annotations` are those of the job and all that is created for it.
        runner_resources: ``limits`` and ``requests`` of the client's pod, the runner.
        **spec: Further fields of the job's ``spec`` as in YAML, such as ``backoffLimit=3``.

    The other arguments are those of ``make_cluster_spec``, for the cluster of the job.

    Raises:
        ValueError, TypeError: An argument is invalid; the message begins with its name.
    """
    shown = WorkloadArguments.__annotations__
    shared: JSON = {key: value for key, value in arguments.items() if key in shown and value is not None}
    fields = {key: value for key, value in arguments.items() if key not in {*shown, "runner_resources"}}
    container: JSON = {
        "name": "job",
        "image": shared.get("image", IMAGE),
        "args": pods.command_args("command", command),
        **pods.optional("env", pods.env_list(shared.get("env"))),
        **pods.optional(
            "resources", checked_resources(arguments.get("runner_resources"), "runner_resources")
        ),
    }
    runs_on: JSON = {"clusterName": cluster_name}
    if cluster_name is None:
        runs_on = {"cluster": {"spec": make_cluster_spec(name, **shared)["spec"]}}
    common = {key: shared[key] for key in PodArguments.__annotations__ if key in shared}
    client = pods.with_shared({"containers": [container]}, **common)
    metadata = _metadata(name, shared.get("labels"), shared.get("annotations"))
    return _manifest(DASK_JOBS, metadata, {"job": {"spec": client}, **runs_on, **fields})


def make_group(cluster: Mapping[str, Any], name: str, worker: Mapping[str, Any]) -> JSON:
    """Return a ``DaskWorkerGroup`` for an existing cluster; ``worker`` as ``make_worker_spec`` returns it."""
    cluster_name = cluster["metadata"]["name"]
    # With an owner from the start, so that it is deleted with the cluster even if no controller has seen it.
    metadata = {
        "name": names.worker_group(cluster_name, name),
        "labels": reserved.worker_group(cluster_name),
        "ownerReferences": [_owner(cluster)],
    }
    spec = {"cluster": cluster_name, "worker": copy.deepcopy(dict(worker))}
    return _manifest(DASK_WORKER_GROUPS, metadata, spec)


def make_autoscaler(cluster: Mapping[str, Any], spec: Mapping[str, Any]) -> JSON:
    """Return a ``DaskAutoscaler`` for an existing cluster, with the cluster's name and as its dependent."""
    autoscaler = make_unowned_autoscaler(cluster["metadata"]["name"], spec)
    autoscaler["metadata"]["ownerReferences"] = [_owner(cluster)]
    return autoscaler


def make_unowned_autoscaler(cluster: str, spec: Mapping[str, Any]) -> JSON:
    """Return a ``DaskAutoscaler`` for a cluster that may not exist yet; None in `spec` leaves a field out."""
    metadata = {"name": cluster, "labels": reserved.autoscaler(cluster)}
    present = {key: value for key, value in spec.items() if value is not None}
    return _manifest(DASK_AUTOSCALERS, metadata, {"cluster": cluster, **present})


def _owner(cluster: Mapping[str, Any]) -> JSON:
    """Return the owner reference to a cluster."""
    metadata = cluster["metadata"]
    # Some API servers demand a permission for `blockOwnerDeletion` that users do not have.
    kind = {"apiVersion": DASK_CLUSTERS.api_version, "kind": DASK_CLUSTERS.kind, "controller": True}
    return kind | {"name": metadata["name"], "uid": metadata["uid"]}


def _metadata(name: str, labels: Mapping[str, str] | None, annotations: Mapping[str, str] | None) -> JSON:
    return {
        "name": name,
        **pods.optional("labels", dict(labels or {})),
        **pods.optional("annotations", dict(annotations or {})),
    }


def _manifest(resource: Resource, metadata: JSON, spec: JSON) -> JSON:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
