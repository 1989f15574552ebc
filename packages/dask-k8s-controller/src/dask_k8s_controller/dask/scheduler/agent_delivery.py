"""How the agent gets into a scheduler's pod: a Secret with its file and its token, mounted there.

Dask's own configuration names the file as a preload. No await, no clock, no environment.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from dask_k8s_controller.dask.pods import main_container
from dask_k8s_controller.runtime.objects import Body

MOUNT = "/dask-k8s"
# Dask imports it by this name, and users' modules must not be hidden by it.
FILE = "dask_k8s_agent.py"
TOKEN = "token"  # noqa: S105 - the name of a key
VOLUME = "dask-k8s-agent"
PRELOAD = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD"
PRELOAD_ARGV = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV"
HIDDEN = {PRELOAD: "DASK_K8S_PRELOAD", PRELOAD_ARGV: "DASK_K8S_PRELOAD_ARGV"}
"""Where to put what the user's own template sets; the agent loads it."""
TOKEN_FILE = "DASK_K8S_AGENT_TOKEN_FILE"  # noqa: S105 - the name of a variable


class Secret(NamedTuple):
    """What is remembered of an agent's Secret: its token, and a digest of the file."""

    token: str
    digest: str


@cache
def source() -> str:
    """Return the agent's file as text; it is never imported here."""
    return (files("dask_k8s_controller.dask.scheduler") / "preload.py").read_text(encoding="utf-8")


@cache
def digest() -> str:
    """Return the digest of the file that this controller brings."""
    return _digest(source().encode())


def trim(body: Body) -> Secret:
    """Keep what a reconcile reads of a Secret; the token is empty where it has none."""
    data = body.get("data") or {}
    token = _decoded(data.get(TOKEN)).decode(errors="replace").strip()
    return Secret(token=token, digest=_digest(_decoded(data.get(FILE))))


def data(token: str | None) -> dict[str, str]:
    """Return the content of the Secret as the API server takes it; without a token only the file."""
    content = {FILE: source()} | ({} if token is None else {TOKEN: token})
    return {name: base64.b64encode(text.encode()).decode() for name, text in content.items()}


def deliver(spec: dict[str, Any], secret: str) -> None:
    """Have the scheduler in this PodSpec load the agent: the container of that name, or else the first."""
    container = main_container(spec)
    spec["volumes"] = [*(spec.get("volumes") or ()), {"name": VOLUME, "secret": {"secretName": secret}}]
    mount = {"name": VOLUME, "mountPath": MOUNT, "readOnly": True}
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    users = [_hidden(variable) for variable in container.get("env") or ()]
    container["env"] = [
        {"name": PRELOAD, "value": f'["{MOUNT}/{FILE}"]'},
        # Arguments of another number of preloads would keep the scheduler from starting.
        {"name": PRELOAD_ARGV, "value": "[]"},
        {"name": TOKEN_FILE, "value": f"{MOUNT}/{TOKEN}"},
        *users,
    ]
    for field in ("command", "args"):
        if words := container.get(field):
            container[field] = _preloading(words)


def _hidden(variable: Mapping[str, Any]) -> dict[str, Any]:
    return {**variable, "name": HIDDEN.get(variable["name"], variable["name"])}


def _preloading(words: list[str]) -> list[str]:
    """A ``--preload`` of the user's makes Dask pass over its configuration: ours has to be one too."""
    place = next((at for at, word in enumerate(words) if word.split("=")[0] == "--preload"), None)
    return words if place is None else [*words[:place], "--preload", f"{MOUNT}/{FILE}", *words[place:]]


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(value or "")
    except (binascii.Error, TypeError, ValueError):
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
