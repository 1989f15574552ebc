"""Delivery of the agent: a Secret with its file, a preload, and its token, mounted in the pod. Pure."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from dask_k8s_controller.dask.pods.view import AGENT_VOLUME
from dask_k8s_crds import labels
from dask_k8s_crds.containers import dask_container

MOUNT = "/dask-k8s"
FILE = "dask_k8s_agent.py"
"""Dask imports it by this name, which must not hide a module of the user."""
TOKEN = "token"  # noqa: S105 - the name of a key
PRELOAD = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD"
PRELOAD_ARGV = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV"
USER_VARIABLES = {PRELOAD: "DASK_K8S_PRELOAD", PRELOAD_ARGV: "DASK_K8S_PRELOAD_ARGV"}
"""New names for variables of the user's template that ours override; the agent loads what they name."""
TOKEN_FILE = "DASK_K8S_AGENT_TOKEN_FILE"  # noqa: S105 - the name of a variable


@cache
def source() -> str:
    """Return the agent's file as text; the controller never imports it."""
    return (files("dask_k8s_controller.dask.scheduler") / "preload.py").read_text(encoding="utf-8")


@cache
def digest() -> str:
    """Return the digest of the agent's file in this version of the controller."""
    return hashlib.sha256(source().encode()).hexdigest()


def data(token: str) -> dict[str, str]:
    """Return the data of the Secret, encoded for the API server."""
    content = {FILE: source(), TOKEN: token}
    return {name: base64.b64encode(text.encode()).decode() for name, text in content.items()}


def deliver(spec: dict[str, Any], secret: str) -> None:
    """Change the PodSpec of a scheduler so that the container of Dask loads the agent from a Secret."""
    container = dask_container(spec, labels.SCHEDULER)
    spec["volumes"] = [*(spec.get("volumes") or ()), {"name": AGENT_VOLUME, "secret": {"secretName": secret}}]
    mount = {"name": AGENT_VOLUME, "mountPath": MOUNT, "readOnly": True}
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    container["env"] = [
        {"name": PRELOAD, "value": f'["{MOUNT}/{FILE}"]'},
        # Arguments for another number of preloads would keep the scheduler from starting.
        {"name": PRELOAD_ARGV, "value": "[]"},
        {"name": TOKEN_FILE, "value": f"{MOUNT}/{TOKEN}"},
        *(_renamed(variable) for variable in container.get("env") or ()),
    ]
    for field in ("command", "args"):
        if args := container.get(field):
            container[field] = _with_preload(args)


def _renamed(variable: Mapping[str, Any]) -> dict[str, Any]:
    return {**variable, "name": USER_VARIABLES.get(variable["name"], variable["name"])}


def _with_preload(args: Sequence[str]) -> Sequence[str]:
    """Add the agent before a ``--preload`` of the user, which makes Dask ignore its configuration."""
    position = next((index for index, arg in enumerate(args) if arg.split("=")[0] == "--preload"), None)
    if position is None:
        return args
    return [*args[:position], "--preload", f"{MOUNT}/{FILE}", *args[position:]]
