"""What users say of pods, checked: arguments in, parts of a pod's spec out. Pure."""

import copy
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_client.aliases import JSON, Env, Tolerations

WORKER_DASHBOARD_PORT = 8788

_RESOURCE_KEYS = ("limits", "requests")


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


def placement(node_selector: Mapping[str, str] | None, tolerations: Tolerations | None) -> JSON:
    """Where a pod may run, as its spec says it."""
    return optional("nodeSelector", dict(node_selector or {})) | optional(
        "tolerations", copy.deepcopy(list(tolerations or ()))
    )


def optional(key: str, value: object) -> JSON:
    """A field that is left out when there is nothing to say."""
    return {key: value} if value else {}
