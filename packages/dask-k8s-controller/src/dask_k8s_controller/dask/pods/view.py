"""The view of a pod that the cache keeps: what reconcilers read, and nothing else. Pure."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.template import main_container
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds import labels, names

AGENT_VOLUME = "dask-k8s-agent"
"""The volume with the scheduler's agent."""
_PULL_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
}
_NODE_REASONS = {"Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"}
"""Reasons in the status of a pod that failed because of its node."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What the cache keeps of a pod; times are as the API server writes them."""

    name: str
    component: str
    created: str
    phase: str
    ready: bool
    deletion: str | None
    """When the grace period of its deletion ends, None if it is not being deleted."""
    trouble: Finding | None
    """What keeps it from running."""
    running: bool
    """Whether its main container runs, and so has tasks or data in memory."""
    starting: bool
    """Whether a node prepares it, and no container has run yet."""
    agent_secret: str
    """The name of the Secret with the agent that it mounts; empty if it mounts none."""
    has_pre_stop: bool
    """Whether a preStop hook lets its main container run on after the deletion has begun."""
    ip: str
    """Its own IP address; empty for a worker with hostNetwork, which shares that of its node."""
    dashboard_port: int
    """The port of the dashboard, on which a scheduler's agent answers too."""
    ended_by_node: bool
    """Whether it ran and failed because of its node, not because of its template."""
    digest: str
    """Digest of the template that it was created from; empty if an older controller created it."""
    last_applied: str
    """The record of the labels, annotations and fields that we applied last."""
    draining_since: str | None
    """Since when an outdated worker has been draining."""
    failures: int
    """How many predecessors of a worker ended by themselves, one after another."""

    @property
    def finished(self) -> bool:
        """Whether none of its containers will ever run again."""
        return self.phase in {"Succeeded", "Failed"}

    def outdated(self, digest: str) -> bool:
        """Return whether it was created from a template with another digest."""
        return self.digest not in ("", digest)

    def age(self, now: datetime) -> float:
        """Return the seconds since it was created."""
        return seconds_since(self.created, now)


def seconds_since(time: str, now: datetime) -> float:
    """Return the seconds since a time that the API server or we wrote."""
    return (now - datetime.fromisoformat(time)) / timedelta(seconds=1)


def trim(body: Body) -> Pod:
    """Return the view of a pod."""
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    annotations = metadata.get("annotations") or {}
    component = (metadata.get("labels") or {}).get(labels.COMPONENT, "")
    shares_ip = component == labels.WORKER and body["spec"].get("hostNetwork")
    return Pod(
        name=metadata["name"],
        component=component,
        created=metadata["creationTimestamp"],
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        deletion=metadata.get("deletionTimestamp"),
        trouble=_trouble(body["spec"], status, conditions),
        running=_is_running(body["spec"], status),
        starting=bool(body["spec"].get("nodeName")) and status.get("phase", "Pending") == "Pending",
        agent_secret=_agent_secret(body["spec"]),
        has_pre_stop="preStop" in (main_container(body["spec"]).get("lifecycle") or {}),
        ip="" if shares_ip else status.get("podIP", ""),
        dashboard_port=_dashboard_port(body["spec"]),
        ended_by_node=_ended_by_node(status),
        # All pods of a group have the same; interned, it is one object in memory.
        digest=sys.intern(annotations.get(labels.TEMPLATE_DIGEST, "")),
        last_applied=sys.intern(last_applied.recorded(body)),
        draining_since=annotations.get(labels.DRAINING_SINCE),
        failures=_failures(annotations),
    )


def troubled(pods: Iterable[Pod]) -> Finding | None:
    """Return the most frequent trouble of these pods, with the message of the first pod by name."""
    found = sorted((pod.name, pod.trouble) for pod in pods if pod.trouble)
    if not found:
        return None
    [(reason, count)] = Counter(trouble.reason for _, trouble in found).most_common(1)
    name, trouble = next(entry for entry in found if entry[1].reason == reason)
    others = f" (and {count - 1} more)" if count > 1 else ""
    return Finding(reason, f"pod {name}{others}: {trouble.message}")


def _is_running(spec: Body, status: Body) -> bool:
    """Return whether the main container runs, whatever its sidecars do; unreported, the phase decides."""
    if status.get("phase") != "Running":
        return False
    main = main_container(spec)["name"]
    states = [each.get("state", {}) for each in status.get("containerStatuses") or () if each["name"] == main]
    return all("running" in state for state in states)


def _failures(annotations: Body) -> int:
    """Return the number in the annotation; 0 if it is unreadable, as anybody may edit it."""
    text = annotations.get(labels.FAILURES, "")
    return int(text) if text.isdecimal() else 0


def _ended_by_node(status: Body) -> bool:
    """Return whether a pod that had started failed because of its node.

    A pod that its node rejected has no containers. It does not count, since an immediate replacement could
    be rejected in a tight loop.
    """
    return (
        status.get("phase") == "Failed"
        and status.get("reason") in _NODE_REASONS
        and bool(status.get("containerStatuses"))
    )


def _agent_secret(spec: Body) -> str:
    volumes = (each for each in spec.get("volumes") or () if each["name"] == AGENT_VOLUME)
    return next(((each.get("secret") or {}).get("secretName", "") for each in volumes), "")


def _dashboard_port(spec: Body) -> int:
    ports = (port for container in spec["containers"] for port in container.get("ports") or ())
    named = (port["containerPort"] for port in ports if port.get("name") == "http-dashboard")
    return next(named, names.DASHBOARD_PORT)


def _trouble(spec: Body, status: Body, conditions: Mapping[str, Body]) -> Finding | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Finding("Unschedulable", scheduled.get("message", ""))
    if status.get("phase") == "Failed":
        return Finding(status.get("reason") or "PodFailed", _failure(status))
    containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return next(filter(None, (_container_trouble(container, spec) for container in containers)), None)


def _container_trouble(container: Body, spec: Body) -> Finding | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    name = container["name"]
    if reason in _PULL_REASONS:
        image = container.get("image") or _image(spec, name)
        return Finding("ImagePullBackOff", f'container {name}: image "{image}": {message or reason}')
    if reason == "CrashLoopBackOff":
        last = container.get("lastState", {}).get("terminated") or {}
        return Finding("CrashLoopBackOff", f"container {name} keeps ending with {_exit(last)}")
    if reason.endswith("Error"):
        return Finding(reason, f"container {name}: {message or reason}")
    return None


def _failure(status: Body) -> str:
    if status.get("message"):
        return str(status["message"])
    states = (container.get("state", {}) for container in status.get("containerStatuses") or ())
    exits = ", ".join(_exit(state["terminated"]) for state in states if state.get("terminated"))
    return exits or "the pod failed"


def _exit(terminated: Body) -> str:
    return f"exit code {terminated.get('exitCode')} ({terminated.get('reason', 'Error')})"


def _image(spec: Body, name: str) -> str:
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    return next((container.get("image", "") for container in containers if container["name"] == name), "")
