"""Builders: arguments in, resources out. Pure; nothing here knows of configuration, files or the network."""

import copy
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_client.durations import Duration, whole_seconds
from dask_k8s_crds import kinds, labels, names

JSON = dict[str, Any]
Env = Mapping[str, str | float] | Sequence[Mapping[str, Any]]

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

    Raises:
        ValueError, TypeError: an argument that makes no sense; the message begins with its name.
    """
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.DASK_CLUSTER.kind,
        "metadata": {"name": name},
        "spec": {
            "scheduler": make_scheduler_spec(
                name, env=env, image=image, scheduler_service_type=scheduler_service_type, jupyter=jupyter
            ),
            "worker": make_worker_spec(image, n_workers, resources, env, worker_command),
            **_optional("idleTimeout", whole_seconds("idle_timeout", idle_timeout)),
        },
    }


def make_worker_spec(
    image: str = IMAGE,
    n_workers: int | None = 3,
    resources: Mapping[str, Any] | None = None,
    env: Env | None = None,
    worker_command: str | Sequence[str] = WORKER_COMMAND,
) -> JSON:
    """The ``worker`` section of a cluster or a worker group. Arguments as in ``make_cluster_spec``."""
    container = {
        "name": "worker",
        "image": image,
        "args": worker_args(worker_command),
        "ports": [{"name": "http-dashboard", "containerPort": WORKER_DASHBOARD_PORT, "protocol": "TCP"}],
        **_optional("env", env_list(env)),
        **_optional("resources", checked_resources(resources)),
    }
    replicas = {} if n_workers is None else {"replicas": checked_count("n_workers", n_workers)}
    return {**replicas, "spec": {"containers": [container]}}


def make_scheduler_spec(  # noqa: PLR0913, PLR0917  # the users' signature
    cluster_name: str,
    env: Env | None = None,
    resources: Mapping[str, Any] | None = None,
    image: str = IMAGE,
    scheduler_service_type: str = "ClusterIP",
    jupyter: bool = False,  # noqa: FBT001, FBT002
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
    return {"spec": {"containers": [container]}, "service": service}


def make_group(cluster: Mapping[str, Any], name: str, worker: Mapping[str, Any]) -> JSON:
    """A ``DaskWorkerGroup`` of a cluster that is there; ``worker`` as ``make_worker_spec`` gives it.

    The cluster owns it from the start, so it goes with the cluster even if no controller has seen it. Without
    ``blockOwnerDeletion``: some API servers want a permission for that which users do not have.
    """
    own = cluster["metadata"]["name"]
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.DASK_WORKER_GROUP.kind,
        "metadata": {
            "name": names.worker_group(own, name),
            "labels": labels.worker_group(own),
            "ownerReferences": [_owner(cluster)],
        },
        "spec": {"cluster": own, "worker": copy.deepcopy(dict(worker))},
    }


def make_autoscaler(cluster: Mapping[str, Any], spec: Mapping[str, Any]) -> JSON:
    """A ``DaskAutoscaler`` of a cluster that is there, and goes with it; it has the cluster's name."""
    made = make_loose_autoscaler(cluster["metadata"]["name"], spec)
    return made | {"metadata": made["metadata"] | {"ownerReferences": [_owner(cluster)]}}


def make_loose_autoscaler(cluster: str, spec: Mapping[str, Any]) -> JSON:
    """A ``DaskAutoscaler`` of a cluster that need not be there yet; the controller ties them together."""
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.DASK_AUTOSCALER.kind,
        "metadata": {"name": cluster, "labels": labels.autoscaler(cluster)},
        "spec": {"cluster": cluster, **{key: value for key, value in spec.items() if value is not None}},
    }


def like_worker(  # noqa: PLR0913  # what a user may want different, each by its own name
    worker: Mapping[str, Any],
    *,
    n_workers: int,
    image: str | None = None,
    resources: Mapping[str, Any] | None = None,
    env: Env | None = None,
    worker_command: str | Sequence[str] | None = None,
) -> JSON:
    """A ``worker`` section like that of a cluster, but for what is given.

    So a further group has the image, pull secrets and volumes of the cluster it joins, however that was made.
    """
    section = copy.deepcopy(
        {key: worker[key] for key in ("metadata", "daskResources", "spec") if key in worker}
    )
    containers: list[JSON] = section["spec"]["containers"]
    container = next((each for each in containers if each.get("name") == "worker"), containers[0])
    if image is not None:
        container["image"] = image
    if resources is not None:
        container["resources"] = checked_resources(resources)
    if env is not None:
        container["env"] = env_list(env)
    if worker_command is not None:
        container.pop("command", None)
        container["args"] = worker_args(worker_command)
    return {"replicas": checked_count("n_workers", n_workers), **section}


def _owner(cluster: Mapping[str, Any]) -> JSON:
    metadata = cluster["metadata"]
    owner = {"apiVersion": kinds.API_VERSION, "kind": kinds.DASK_CLUSTER.kind, "controller": True}
    return {**owner, "name": metadata["name"], "uid": metadata["uid"]}


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


def checked_resources(resources: Mapping[str, Any] | None) -> JSON:
    """Resources of a container, refused unless they are `limits` and `requests` of something."""
    if resources is None:
        return {}
    if not isinstance(resources, Mapping):
        raise TypeError(f"resources: must be a dict with 'limits' and 'requests', not {resources!r}")
    for key, quantities in resources.items():
        if key not in _RESOURCE_KEYS:
            raise ValueError(
                f"resources: unknown key {key!r}; may have {' and '.join(map(repr, _RESOURCE_KEYS))}"
            )
        if not isinstance(quantities, Mapping):
            raise TypeError(
                f"resources: {key!r} must be a dict such as {{'memory': '2Gi'}}, not {quantities!r}"
            )
    return {key: dict(quantities) for key, quantities in resources.items()}


def checked_count(what: str, n: Any) -> int:
    """A number of workers."""
    # numpy's integers are welcome, True and 2.0 are mistakes.
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"{what}: must be an integer, not {n!r}")
    if n < 0:
        raise ValueError(f"{what}: must not be negative: {n}")
    return int(n)


def _optional(key: str, value: object) -> JSON:
    return {key: value} if value else {}
