"""Builders of pod specs: containers, environment, placement. Pure."""

import copy
import shlex
from collections.abc import Mapping
from typing import Any

from dask_k8s_client.arguments import (
    JSON,
    Command,
    Env,
    Resources,
    Tolerations,
    checked_count,
    checked_resources,
)

WORKER_DASHBOARD_PORT = 8788


def change_worker(  # noqa: PLR0913  # each may be changed on its own
    worker: Mapping[str, Any],
    *,
    n_workers: int,
    image: str | None = None,
    resources: Resources | None = None,
    env: Env | None = None,
    worker_command: Command | None = None,
    node_selector: Mapping[str, str] | None = None,
    tolerations: Tolerations | None = None,
) -> JSON:
    """Return a copy of a cluster's ``worker`` section with the arguments that are not None applied.

    So a further group has the image, pull secrets and volumes of its cluster, however that was created.
    """
    kept = ("metadata", "daskResources", "spec")
    section = copy.deepcopy({key: worker[key] for key in kept if key in worker})
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
    if node_selector is not None:
        section["spec"]["nodeSelector"] = dict(node_selector)
    if tolerations is not None:
        section["spec"]["tolerations"] = copy.deepcopy(list(tolerations))
    return {"replicas": checked_count("n_workers", n_workers), **section}


def unprivileged(pod: JSON, user: int | None) -> JSON:
    """Return a pod spec that the `restricted` Pod Security Standard accepts; unchanged if `user` is None.

    https://kubernetes.io/docs/concepts/security/pod-security-standards
    """
    if user is None:
        return pod
    if checked_count("run_as_user", user) == 0:
        raise ValueError("run_as_user: 0 is root; leave it out to run as the image says")
    container = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    containers = [{**each, "securityContext": copy.deepcopy(container)} for each in pod["containers"]]
    profile = {"type": "RuntimeDefault"}
    context = {"runAsNonRoot": True, "runAsUser": int(user), "seccompProfile": profile}
    return {**pod, "containers": containers, "securityContext": context}


def command_args(argument: str, command: Command) -> list[str]:
    """Return a command as a list, split as a shell does it; `argument` is the name that users know it by."""
    args = shlex.split(command) if isinstance(command, str) else list(command)
    if not args or not all(isinstance(each, str) for each in args):
        problem = f"a command is needed, as a string or a list of strings, not {command!r}"
        raise ValueError(f"{argument}: {problem}")
    return args


def worker_args(command: Command) -> list[str]:
    """Return the ``args`` of a worker's container; Kubernetes replaces ``$(DASK_WORKER_NAME)``."""
    dashboard = ["--dashboard", "--dashboard-address", str(WORKER_DASHBOARD_PORT)]
    return [*command_args("worker_command", command), "--name", "$(DASK_WORKER_NAME)", *dashboard]


def env_list(env: Env | None) -> list[JSON]:
    """Return environment variables as a Pod lists them; a copy, so that no two containers share one list."""
    if env is None:
        return []
    if not isinstance(env, Mapping):
        return [copy.deepcopy(dict(variable)) for variable in env]
    for name, value in env.items():
        # Other languages do not read `True`, the result of `str(True)`, as true; let the user decide.
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(f"env: the value of {name} must be a string, not {value!r}")
    return [{"name": name, "value": str(value)} for name, value in env.items()]


def placement(node_selector: Mapping[str, str] | None, tolerations: Tolerations | None) -> JSON:
    """Return the fields of a pod spec that limit where the pod may run."""
    copied = copy.deepcopy(list(tolerations or ()))
    return optional("nodeSelector", dict(node_selector or {})) | optional("tolerations", copied)


def optional(key: str, value: object) -> JSON:
    """Return a field, or nothing if its value is empty."""
    return {key: value} if value else {}
