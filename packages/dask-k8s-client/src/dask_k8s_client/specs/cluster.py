"""Builders of clusters: arguments in, resources out. Pure."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_client.aliases import JSON, Env, Tolerations
from dask_k8s_client.durations import Duration, whole_seconds
from dask_k8s_client.specs.pods import (
    WORKER_DASHBOARD_PORT,
    checked_count,
    checked_resources,
    env_list,
    optional,
    placement,
    unprivileged,
    worker_args,
)
from dask_k8s_crds import labels, names
from dask_k8s_crds.resources import API_VERSION, DASK_CLUSTERS

IMAGE = "ghcr.io/dask/dask:latest"
WORKER_COMMAND = "dask worker"


def make_cluster_spec(  # noqa: PLR0913, PLR0917  # the users' signature
    name: str,
    image: str = IMAGE,
    n_workers: int | None = None,
    resources: Mapping[str, Any] | None = None,
    env: Env | None = None,
    worker_command: str | Sequence[str] = WORKER_COMMAND,
    scheduler_service_type: str = "ClusterIP",
    idle_timeout: Duration = 0,
    jupyter: bool = False,  # noqa: FBT001, FBT002
    *,
    scheduler_resources: Mapping[str, Any] | None = None,
    scheduler_node_selector: Mapping[str, str] | None = None,
    scheduler_tolerations: Tolerations | None = None,
    worker_node_selector: Mapping[str, str] | None = None,
    worker_tolerations: Tolerations | None = None,
    run_as_user: int | None = None,
) -> JSON:
    """A ``DaskCluster`` resource, ready to be changed and passed to ``KubeCluster`` or ``kubectl apply``.

    Args:
        name: Name of the cluster.
        image: Container image of scheduler and workers.
        n_workers: Size of the default worker group; 1 if not given.
        resources: ``limits`` and ``requests`` of each worker; never of the scheduler.
        env: Environment of scheduler and workers: a dict, or a list as in a Pod.
        worker_command: What starts a worker; its name and dashboard port are added.
        scheduler_service_type: ``ClusterIP``, ``NodePort`` or ``LoadBalancer``.
        idle_timeout: The cluster is deleted when it had nothing to do for so long: a number of seconds or a
            text such as ``"1 hour"``, rounded up to whole seconds; 0 means never.
        jupyter: Start a Jupyter server beside the dashboard.
        scheduler_resources: ``limits`` and ``requests`` of the scheduler.
        scheduler_node_selector: Labels of the nodes where the scheduler may run.
        scheduler_tolerations: Taints of nodes that do not keep it away, as in a Pod.
        worker_node_selector: The same for workers.
        worker_tolerations: The same for workers.
        run_as_user: Number of the user that all run as, without privileges, as the `restricted` Pod Security
            Standard asks for. By default as the image says.

    Raises:
        ValueError, TypeError: an argument that makes no sense; the message begins with its name.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": DASK_CLUSTERS.kind,
        "metadata": {"name": name},
        "spec": {
            "scheduler": make_scheduler_spec(
                name,
                env=env,
                resources=checked_resources(scheduler_resources, "scheduler_resources"),
                image=image,
                scheduler_service_type=scheduler_service_type,
                jupyter=jupyter,
                node_selector=scheduler_node_selector,
                tolerations=scheduler_tolerations,
                run_as_user=run_as_user,
            ),
            "worker": make_worker_spec(
                image,
                n_workers,
                resources,
                env,
                worker_command,
                node_selector=worker_node_selector,
                tolerations=worker_tolerations,
                run_as_user=run_as_user,
            ),
            **optional("idleTimeout", whole_seconds("idle_timeout", idle_timeout)),
        },
    }


def make_worker_spec(  # noqa: PLR0913  # the users' signature
    image: str = IMAGE,
    n_workers: int | None = 3,
    resources: Mapping[str, Any] | None = None,
    env: Env | None = None,
    worker_command: str | Sequence[str] = WORKER_COMMAND,
    *,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Tolerations | None = None,
    run_as_user: int | None = None,
) -> JSON:
    """The ``worker`` section of a cluster or a worker group. Arguments as in ``make_cluster_spec``."""
    container: JSON = {
        "name": "worker",
        "image": image,
        "args": worker_args(worker_command),
        "ports": [{"name": "http-dashboard", "containerPort": WORKER_DASHBOARD_PORT, "protocol": "TCP"}],
        **optional("env", env_list(env)),
        **optional("resources", checked_resources(resources)),
    }
    replicas = {} if n_workers is None else {"replicas": checked_count("n_workers", n_workers)}
    pod = {"containers": [container], **placement(node_selector, tolerations)}
    return {**replicas, "spec": unprivileged(pod, run_as_user)}


def make_scheduler_spec(  # noqa: PLR0913, PLR0917  # the users' signature
    cluster_name: str,
    env: Env | None = None,
    resources: Mapping[str, Any] | None = None,
    image: str = IMAGE,
    scheduler_service_type: str = "ClusterIP",
    jupyter: bool = False,  # noqa: FBT001, FBT002
    *,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Tolerations | None = None,
    run_as_user: int | None = None,
) -> JSON:
    """The ``scheduler`` section of a cluster. As in ``make_cluster_spec``, but ``resources`` are its own."""
    health = {"httpGet": {"path": "/health", "port": "http-dashboard"}}
    container = {
        "name": "scheduler",
        "image": image,
        "args": ["dask", "scheduler", "--host", "0.0.0.0", *(["--jupyter"] if jupyter else [])],  # noqa: S104
        "ports": [
            {"name": "tcp-comm", "containerPort": names.SCHEDULER_PORT, "protocol": "TCP"},
            {"name": "http-dashboard", "containerPort": names.DASHBOARD_PORT, "protocol": "TCP"},
        ],
        # Asked often until it answers, for everybody waits for it; up to five minutes.
        "startupProbe": {**copy.deepcopy(health), "periodSeconds": 1, "failureThreshold": 300},
        "readinessProbe": {**health, "periodSeconds": 10},
        "livenessProbe": {**copy.deepcopy(health), "initialDelaySeconds": 15, "periodSeconds": 20},
        **optional("env", env_list(env)),
        **optional("resources", checked_resources(resources)),
    }
    ports = [("tcp-comm", names.SCHEDULER_PORT), ("http-dashboard", names.DASHBOARD_PORT)]
    service = {
        "type": scheduler_service_type,
        "selector": labels.scheduler(cluster_name),
        "ports": [
            {"name": name, "port": port, "protocol": "TCP", "targetPort": name} for name, port in ports
        ],
    }
    pod = {"containers": [container], **placement(node_selector, tolerations)}
    return {"spec": unprivileged(pod, run_as_user), "service": service}
