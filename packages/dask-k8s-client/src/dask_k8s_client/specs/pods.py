"""Builders of pod specs: containers, environment, placement. Pure."""

import copy
import shlex
from collections.abc import Mapping, Sequence
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
from dask_k8s_crds import labels
from dask_k8s_crds.containers import dask_container, unidentified

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

    Raises:
        ValueError: An argument is for the container of Dask, and nothing shows which one that is.
    """
    kept = ("metadata", "daskResources", "spec")
    section = copy.deepcopy({key: worker[key] for key in kept if key in worker})
    if any(argument is not None for argument in (image, resources, env, worker_command)):
        problem = unidentified(section["spec"], labels.WORKER, "spec.worker.spec of the cluster")
        if problem is not None:
            raise ValueError(problem)
    container: JSON = dask_container(section["spec"], labels.WORKER)
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


def with_shared(  # noqa: PLR0913  # each is an argument of users
    pod: JSON,
    *,
    run_as_user: int | None = None,
    service_account_name: str | None = None,
    image_pull_secrets: str | Sequence[str] | None = None,
    priority_class_name: str | None = None,
    volumes: Sequence[Mapping[str, Any]] | None = None,
    volume_mounts: Sequence[Mapping[str, Any]] | None = None,
) -> JSON:
    """Return a pod spec with what all pods of a cluster or a job have in common."""
    secrets = [image_pull_secrets] if isinstance(image_pull_secrets, str) else image_pull_secrets or ()
    if not all(isinstance(name, str) for name in secrets):
        raise TypeError(f"image_pull_secrets: must be names of Secrets, not {image_pull_secrets!r}")
    mounts = optional("volumeMounts", copied(volume_mounts))
    return {
        **unprivileged(
            {**pod, "containers": [each | copy.deepcopy(mounts) for each in pod["containers"]]}, run_as_user
        ),
        **optional("serviceAccountName", service_account_name),
        **optional("imagePullSecrets", [{"name": name} for name in secrets]),
        **optional("priorityClassName", priority_class_name),
        **optional("volumes", copied(volumes)),
    }


def copied(items: Sequence[Mapping[str, Any]] | None) -> list[JSON]:
    """Return a deep copy of a list of objects, so that no two pods share one."""
    return copy.deepcopy([dict(each) for each in items or ()])


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


def editable(env: Env | None, resources: Resources | None) -> JSON:
    """Return fields of a container that are there even if empty: code for dask-kubernetes edits them."""
    return {"env": env_list(env), "resources": checked_resources(resources) or None}


def placement(node_selector: Mapping[str, str] | None, tolerations: Tolerations | None) -> JSON:
    """Return the fields of a pod spec that limit where the pod may run."""
    copied = copy.deepcopy(list(tolerations or ()))
    return optional("nodeSelector", dict(node_selector or {})) | optional("tolerations", copied)


def optional(key: str, value: object) -> JSON:
    """Return a field, or nothing if its value is empty."""
    return {key: value} if value else {}
