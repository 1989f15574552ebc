"""Builders: arguments in, resources out. Pure; nothing here knows of configuration, files or the network."""

import copy
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_client.durations import Duration, whole_seconds
from dask_k8s_crds import kinds, labels, names

JSON = dict[str, Any]
Env = Mapping[str, str | float] | Sequence[Mapping[str, Any]]
Tolerations = Sequence[Mapping[str, Any]]

IMAGE = "ghcr.io/dask/dask:latest"
WORKER_COMMAND = "dask worker"
WORKER_DASHBOARD_PORT = 8788

_RESOURCE_KEYS = ("limits", "requests")


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
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.DASK_CLUSTER.kind,
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
            **_optional("idleTimeout", whole_seconds("idle_timeout", idle_timeout)),
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
        **_optional("env", env_list(env)),
        **_optional("resources", checked_resources(resources)),
    }
    replicas = {} if n_workers is None else {"replicas": checked_count("n_workers", n_workers)}
    pod = {"containers": [container], **_placement(node_selector, tolerations)}
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
        **_optional("env", env_list(env)),
        **_optional("resources", checked_resources(resources)),
    }
    ports = [("tcp-comm", names.SCHEDULER_PORT), ("http-dashboard", names.DASHBOARD_PORT)]
    service = {
        "type": scheduler_service_type,
        "selector": labels.scheduler(cluster_name),
        "ports": [
            {"name": name, "port": port, "protocol": "TCP", "targetPort": name} for name, port in ports
        ],
    }
    pod = {"containers": [container], **_placement(node_selector, tolerations)}
    return {"spec": unprivileged(pod, run_as_user), "service": service}


def unprivileged(pod: JSON, user: int | None) -> JSON:
    """The spec of a pod, such that the `restricted` Pod Security Standard takes it; unchanged for None.

    https://kubernetes.io/docs/concepts/security/pod-security-standards
    """
    if user is None:
        return pod
    if checked_count("run_as_user", user) == 0:
        raise ValueError("run_as_user: 0 is root; leave it out to run as the image says")
    container = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        **pod,
        "containers": [{**each, "securityContext": copy.deepcopy(container)} for each in pod["containers"]],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": int(user),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def worker_args(command: str | Sequence[str]) -> list[str]:
    """What a worker's container runs; `$(DASK_WORKER_NAME)` is for Kubernetes to fill in."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError(
            f"worker_command: a command is needed, as a string or a list of strings, not {command!r}"
        )
    return [
        *words,
        "--name",
        "$(DASK_WORKER_NAME)",
        "--dashboard",
        "--dashboard-address",
        str(WORKER_DASHBOARD_PORT),
    ]


def env_list(env: Env | None) -> list[JSON]:
    """Environment variables as a Pod has them; a copy, so that no two containers share one list."""
    if env is None:
        return []
    if not isinstance(env, Mapping):
        return [copy.deepcopy(dict(variable)) for variable in env]
    for name, value in env.items():
        # `str(True)` is not what any other language reads as true; let the user choose.
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(f"env: the value of {name} must be a string, not {value!r}")
    return [{"name": name, "value": str(value)} for name, value in env.items()]


def checked_resources(resources: Mapping[str, Any] | None, what: str = "resources") -> JSON:
    """Resources of a container, refused unless they are `limits` and `requests` of something.

    `what` is the argument that they came by.
    """
    if resources is None:
        return {}
    if not isinstance(resources, Mapping):
        raise TypeError(f"{what}: must be a dict with 'limits' and 'requests', not {resources!r}")
    for key, quantities in resources.items():
        if key not in _RESOURCE_KEYS:
            raise ValueError(
                f"{what}: unknown key {key!r}; may have {' and '.join(map(repr, _RESOURCE_KEYS))}"
            )
        if not isinstance(quantities, Mapping):
            raise TypeError(f"{what}: {key!r} must be a dict such as {{'memory': '2Gi'}}, not {quantities!r}")
    return {key: dict(quantities) for key, quantities in resources.items()}


def checked_count(what: str, n: Any) -> int:
    """A number of workers."""
    # numpy's integers are welcome, True and 2.0 are mistakes.
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"{what}: must be an integer, not {n!r}")
    if n < 0:
        raise ValueError(f"{what}: must not be negative: {n}")
    return int(n)


def _placement(node_selector: Mapping[str, str] | None, tolerations: Tolerations | None) -> JSON:
    """Where a pod may run, as its spec says it."""
    return _optional("nodeSelector", dict(node_selector or {})) | _optional(
        "tolerations", copy.deepcopy(list(tolerations or ()))
    )


def _optional(key: str, value: object) -> JSON:
    return {key: value} if value else {}
