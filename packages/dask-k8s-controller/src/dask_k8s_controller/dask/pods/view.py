"""The view of a pod that the cache keeps: what reconcilers read, and nothing else. Pure."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.template import main_container
from dask_k8s_controller.dask.pods.trouble import pod_stalled_since, pod_trouble
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds import labels, names

AGENT_VOLUME = "dask-k8s-agent"
"""The volume with the scheduler's agent."""
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
    stalled_since: str
    """Since when it has had this trouble, or has run without being ready; empty for other pods."""
    running: bool
    """Whether its main container runs, and so has tasks or data in memory."""
    starting: bool
    """Whether a node prepares it, and no container has run yet."""
    agent_secret: str
    """The name of the Secret with the agent that it mounts; empty if it mounts none."""
    has_pre_stop: bool
    """Whether a preStop hook lets its main container run on after the deletion has begun."""
    ips: tuple[str, ...]
    """Its own IP addresses, one of each IP version, the primary one first. A worker with hostNetwork has
    none, since it shares those of its node."""
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
    def ip(self) -> str:
        """Its primary IP address, or empty."""
        return self.ips[0] if self.ips else ""

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
    trouble, failures = pod_trouble(body["spec"], status, conditions), _failures(annotations)
    running, ready = _is_running(body["spec"], status), conditions.get("Ready", {}).get("status") == "True"
    stalled = trouble is not None or (running and not ready)
    return Pod(
        name=metadata["name"],
        component=component,
        created=metadata["creationTimestamp"],
        phase=status.get("phase", "Pending"),
        ready=ready,
        deletion=metadata.get("deletionTimestamp"),
        trouble=trouble,
        stalled_since=pod_stalled_since(trouble, body, conditions, failures) if stalled else "",
        running=running,
        starting=bool(body["spec"].get("nodeName")) and status.get("phase", "Pending") == "Pending",
        agent_secret=_agent_secret(body["spec"]),
        has_pre_stop="preStop" in (main_container(body["spec"]).get("lifecycle") or {}),
        ips=() if shares_ip else _ips(status),
        dashboard_port=_dashboard_port(body["spec"]),
        ended_by_node=_ended_by_node(status),
        # All pods of a group have the same; interned, it is one object in memory.
        digest=sys.intern(annotations.get(labels.TEMPLATE_DIGEST, "")),
        last_applied=sys.intern(last_applied.recorded(body)),
        draining_since=annotations.get(labels.DRAINING_SINCE),
        failures=failures,
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


def _ips(status: Body) -> tuple[str, ...]:
    found = (status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ()))
    return tuple(dict.fromkeys(filter(None, found)))


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
