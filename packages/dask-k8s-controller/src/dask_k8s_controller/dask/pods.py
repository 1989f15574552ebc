"""Pods as the reconcilers of schedulers and workers see them, and how a user's pod template becomes a pod.

No await, no clock, no environment.
"""

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds import labels, names

COMMANDS = {"dask-scheduler": ("dask", "scheduler"), "dask-worker": ("dask", "worker")}
"""Commands that `distributed` lost in 2026.6.0, and what starts the same program since 2022.10."""

_PULL_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
}
_TAKEN_AWAY = {"Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"}
"""Reasons of a pod's failure that are its node's."""


class Trouble(NamedTuple):
    """What keeps a pod from running, in a word that conditions use and in Kubernetes' own sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Pod:
    """What is remembered of a pod; times are as the API server writes them."""

    name: str
    component: str
    created: str
    phase: str
    ready: bool
    deletion: str | None
    trouble: Trouble | None
    runs: bool
    """Whether the process that it is for runs: with it lives what that holds in memory."""
    lingers: bool
    """Whether a preStop hook lets the process run on for a while once the pod's deletion has begun."""
    ip: str
    dashboard: int
    """The port of the dashboard, where a scheduler's agent answers too."""
    taken_away: bool
    """Whether it had run and its node ended it: nothing is wrong with the pod."""
    digest: str
    """Of what it was made from; empty where an older controller made it."""
    last_applied: str
    """The record of the labels, annotations and fields that we applied last."""
    draining: str | None
    """Since when it has been handing over because it is outdated."""
    failures: int
    """How many pods ended by themselves one after another, of which it took the place of the last."""

    @property
    def finished(self) -> bool:
        """Whether none of its containers will ever run again."""
        return self.phase in {"Succeeded", "Failed"}

    def outdated(self, digest: str) -> bool:
        """Whether it was made from something else than what has this digest."""
        return self.digest not in ("", digest)


def trim(body: Body) -> Pod:
    """Keep what a reconcile reads of a pod."""
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    annotations = metadata.get("annotations") or {}
    return Pod(
        name=metadata["name"],
        component=(metadata.get("labels") or {}).get(labels.COMPONENT, ""),
        created=metadata["creationTimestamp"],
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        deletion=metadata.get("deletionTimestamp"),
        trouble=_trouble(body["spec"], status, conditions),
        runs=_runs(body["spec"], status),
        lingers="preStop" in (main_container(body["spec"]).get("lifecycle") or {}),
        ip=_own_ip(body, status),
        dashboard=_dashboard(body["spec"]),
        taken_away=_taken_away(status),
        # The same for all pods of a group, and so one object in memory.
        digest=sys.intern(annotations.get(labels.TEMPLATE_DIGEST, "")),
        last_applied=sys.intern(last_applied.recorded(body)),
        draining=annotations.get(labels.DRAINING_SINCE),
        failures=_failures(annotations),
    )


def main_container(spec: Body) -> Any:
    """Return the container in which Dask runs: the one named for that, or else the first."""
    containers = spec["containers"]
    named = (each for each in containers if each["name"] in (labels.SCHEDULER, labels.WORKER))
    return next(named, containers[0])


def _runs(spec: Body, status: Body) -> bool:
    """A sidecar that crashes does not end the process; where no container is reported, the phase decides."""
    if status.get("phase") != "Running":
        return False
    main = main_container(spec)["name"]
    states = [each.get("state", {}) for each in status.get("containerStatuses") or () if each["name"] == main]
    return all("running" in state for state in states)


def _failures(annotations: Body) -> int:
    """Anybody may have written to the annotation; what cannot be read counts as none."""
    text = annotations.get(labels.FAILURES, "")
    return int(text) if text.isdecimal() else 0


def _taken_away(status: Body) -> bool:
    """A pod that a node refused has no containers: to make another at once would be a tight loop."""
    return (
        status.get("phase") == "Failed"
        and status.get("reason") in _TAKEN_AWAY
        and bool(status.get("containerStatuses"))
    )


def _own_ip(body: Body, status: Body) -> str:
    """Workers in the node's network share its address with others, and are not known by it."""
    component = (body["metadata"].get("labels") or {}).get(labels.COMPONENT)
    shared = body["spec"].get("hostNetwork") and component == labels.WORKER
    return "" if shared else status.get("podIP", "")


def _dashboard(spec: Body) -> int:
    ports = (port for container in spec["containers"] for port in container.get("ports") or ())
    named = (port["containerPort"] for port in ports if port.get("name") == "http-dashboard")
    return next(named, names.DASHBOARD_PORT)


def _trouble(spec: Body, status: Body, conditions: Mapping[str, Body]) -> Trouble | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Trouble("Unschedulable", scheduled.get("message", ""))
    if status.get("phase") == "Failed":
        return Trouble(status.get("reason") or "PodFailed", _failure(status))
    containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return next(filter(None, (_container_trouble(container, spec) for container in containers)), None)


def _container_trouble(container: Body, spec: Body) -> Trouble | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    name = container["name"]
    if reason in _PULL_REASONS:
        image = container.get("image") or _image(spec, name)
        return Trouble("ImagePullBackOff", f'container {name}: image "{image}": {message or reason}')
    if reason == "CrashLoopBackOff":
        last = container.get("lastState", {}).get("terminated") or {}
        ended = f"exit code {last.get('exitCode')} ({last.get('reason', 'Error')})"
        return Trouble("CrashLoopBackOff", f"container {name} keeps ending with {ended}")
    if reason.endswith("Error"):
        return Trouble(reason, f"container {name}: {message or reason}")
    return None


def _failure(status: Body) -> str:
    if status.get("message"):
        return str(status["message"])
    ends = (
        container.get("state", {}).get("terminated") for container in status.get("containerStatuses") or ()
    )
    codes = ", ".join(
        f"exit code {end.get('exitCode')} ({end.get('reason', 'Error')})" for end in ends if end
    )
    return codes or "the pod failed"


def _image(spec: Body, name: str) -> str:
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    return next((container.get("image", "") for container in containers if container["name"] == name), "")


def pod_spec(template: Body, *, env: Mapping[str, str], legacy_commands: bool) -> dict[str, Any]:
    """Return the spec of a pod: the user's, with our environment and current commands.

    The user's values win, nothing is there twice, and the template is not changed. Our variables
    stand first, so that the user's may refer to them as ``$(DASK_WORKER_NAME)``.
    ``legacy_commands`` keeps `dask-scheduler` and `dask-worker` as they are.
    """
    spec = copy.deepcopy(dict(template))
    spec.setdefault("enableServiceLinks", False)
    for container in spec["containers"]:
        own = container.get("env") or []
        taken = {variable["name"] for variable in own}
        added = [{"name": name, "value": value} for name, value in env.items() if name not in taken]
        if added:
            container["env"] = added + own
        if not legacy_commands:
            _renew_command(container)
    return spec


def template_digest(template: Body, *, env: Mapping[str, str], legacy_commands: bool) -> str:
    """Return the digest of what `pod_spec` makes a pod from.

    Of what users say and not of the pod, so that a newer controller, which may build it otherwise, restarts
    nobody; and without the pod's name.
    """
    return last_applied.digest([template, env, legacy_commands and bool(legacy_words(template))])


def legacy_words(template: Body) -> list[str]:
    """Return the removed commands that a template starts, for example ``["dask-worker"]``."""
    return [
        words[0]
        for container in template["containers"]
        for _, words in _entry(container)
        if words[0] in COMMANDS
    ]


def _renew_command(container: dict[str, Any]) -> None:
    for field, words in _entry(container):
        if words[0] in COMMANDS:
            container[field] = [*COMMANDS[words[0]], *words[1:]]


def _entry(container: Body) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the field with the program that a container starts, and its words."""
    for field in ("command", "args"):
        words = container.get(field)
        if words:
            yield field, words
            return


def keeps_legacy_commands(annotations: Mapping[str, str]) -> bool:
    """Whether the user wants `dask-scheduler` and `dask-worker` to be started as written."""
    return annotations.get(labels.LEGACY_COMMANDS) == "keep"


def legacy_message(words: Sequence[str]) -> str:
    """Return the sentence for a user whose template starts commands that no longer exist."""
    renewed = ", ".join(f'"{word}" as "{" ".join(COMMANDS[word])}"' for word in dict.fromkeys(words))
    return (
        f"started {renewed}: distributed 2026.6.0 removed the old form; change the template, or annotate "
        f'the resource with "{labels.LEGACY_COMMANDS}: keep" for an image older than 2022.10'
    )
