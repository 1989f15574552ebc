"""The view of a pod that the cache keeps: what reconcilers read, and nothing else. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from dask_k8s_controller.dask import last_applied
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.trouble import pod_stalled_since, pod_trouble
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.objects import Body, bounded, controller_of
from dask_k8s_crds import labels
from dask_k8s_crds.containers import dask_container
from dask_k8s_crds.resources import DASK_CLUSTERS
from dask_k8s_crds.scheduler_ports import SchedulerPorts

AGENT_VOLUME = "dask-k8s-agent"
"""The volume with the scheduler's agent."""
LOST_SECONDS = 10.0
"""A pod that still exists for so long after its grace period is lost: its node does not end it."""
_NODE_REASONS = {"Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"}
"""Reasons in the status of a pod that failed because of its node."""


# Bytes that the cache keeps of strings, since anybody can create a pod with our labels and a megabyte in it.
MAX_WORD = 32
"""Of a component, a phase, a digest or a time."""
MAX_ADDRESS = 46
"""The length of the longest IP address."""
MAX_REASON = 64
MAX_MESSAGE = 512
"""Of the message about what keeps a pod from running."""
MAX_TEXT = 640
"""Of this message and the record of what we applied last, together."""
MAX_FAILURES = 9999
"""Failures that are counted; after so many, their number makes no difference any more."""


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
    """Whether the container of Dask runs, and so has tasks or data in memory."""
    starting: bool
    """Whether a node prepares it, and no container has run yet."""
    agent_secret: str
    """The name of the Secret with the agent that it mounts; empty if it mounts none."""
    has_pre_stop: bool
    """Whether a preStop hook lets the container of Dask run on after the deletion has begun."""
    ips: tuple[str, ...]
    """Its own IP addresses, one of each IP version, the primary one first. A worker with hostNetwork has
    none, since it shares those of its node."""
    ports: SchedulerPorts | None
    """What its spec says about the ports of a scheduler, None for a pod that no cluster owns."""
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
    finished: bool
    """Whether its main container will never run again."""
    completed_seconds: float | None
    """For how many seconds its main container ran last, if that ended with exit code 0 and the kubelet does
    not restart it now: the pod is finished, or in a back-off. None for others."""

    @property
    def ip(self) -> str:
        """Its primary IP address, or empty."""
        return self.ips[0] if self.ips else ""

    @property
    def may_run(self) -> bool:
        """Whether its main container may run: its node reports a start up to some seconds later."""
        return self.running or (self.starting and self.trouble is None)

    def outdated(self, digest: str) -> bool:
        """Return whether it was created from a template with another digest."""
        return self.digest not in ("", digest)

    def age(self, now: datetime) -> float:
        """Return the seconds since it was created."""
        return seconds_since(self.created, now)


def seconds_since(time: str, now: datetime) -> float:
    """Return the seconds since a time that the API server or we wrote."""
    return (now - datetime.fromisoformat(time)) / timedelta(seconds=1)


def is_lost(pod: Record, now: datetime) -> bool:
    """Return whether a terminating pod is lost, for example because its node is."""
    return pod.deleting and seconds_until_lost(pod, now) <= 0


def seconds_until_lost(pod: Record, now: datetime) -> float:
    """Return after how many seconds a terminating pod is lost if it still exists then."""
    if pod.value.deletion is None:
        # We have deleted it, and the cache does not show the end of its grace period yet.
        return LOST_SECONDS
    return LOST_SECONDS - seconds_since(pod.value.deletion, now)


def trim(body: Body) -> Pod:
    """Return the view of a pod."""
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    annotations = metadata.get("annotations") or {}
    component = (metadata.get("labels") or {}).get(labels.COMPONENT, "")
    shares_ip = component == labels.WORKER and body["spec"].get("hostNetwork")
    main = dask_container(body["spec"], component)
    finished, failures = _is_finished(main, body["spec"], status), _failures(annotations)
    trouble = _bounded(pod_trouble(body["spec"], status, conditions, finished=finished))
    left = MAX_TEXT - (len(trouble.message) if trouble else 0)
    running, ready = _is_running(main, status), conditions.get("Ready", {}).get("status") == "True"
    stalled = trouble is not None or (running and not ready)
    return Pod(
        name=metadata["name"],
        component=_shared(bounded(component, MAX_WORD)),
        created=metadata["creationTimestamp"],
        phase=_shared(bounded(status.get("phase", "Pending"), MAX_WORD)),
        ready=ready,
        deletion=metadata.get("deletionTimestamp"),
        trouble=trouble,
        stalled_since=bounded(
            pod_stalled_since(trouble, body, conditions, failures, finished=finished), MAX_WORD
        )
        if stalled
        else "",
        running=running,
        starting=bool(body["spec"].get("nodeName")) and status.get("phase", "Pending") == "Pending",
        agent_secret=_agent_secret(body["spec"]),
        has_pre_stop="preStop" in (main.get("lifecycle") or {}),
        ips=() if shares_ip else _ips(status),
        ports=_scheduler_ports(body),
        ended_by_node=_ended_by_node(status),
        digest=_shared(bounded(annotations.get(labels.TEMPLATE_DIGEST), MAX_WORD)),
        last_applied=_shared(last_applied.short(last_applied.recorded(body), left)),
        draining_since=bounded(annotations.get(labels.DRAINING_SINCE), MAX_WORD) or None,
        failures=failures,
        finished=finished,
        completed_seconds=_completed_seconds(_status_of(main, status), finished=finished),
    )


@lru_cache(maxsize=4096)
def _shared(text: str) -> str:
    """Return an equal string that is in memory already: all pods of a group have the same ones."""
    return text


def troubled(pods: Iterable[Pod]) -> Finding | None:
    """Return the most frequent trouble of these pods, with the message of the first pod by name."""
    found = sorted((pod.name, pod.trouble) for pod in pods if pod.trouble)
    if not found:
        return None
    [(reason, count)] = Counter(trouble.reason for _, trouble in found).most_common(1)
    name, trouble = next(entry for entry in found if entry[1].reason == reason)
    others = f" (and {count - 1} more)" if count > 1 else ""
    return Finding(reason, f"pod {name}{others}: {trouble.message}")


def _is_running(main: Body, status: Body) -> bool:
    """Return whether the container of Dask runs, whatever its sidecars do; unreported, the phase decides."""
    if status.get("phase") != "Running":
        return False
    found = _status_of(main, status)
    return not found or "running" in found.get("state", {})


def _is_finished(main: Body, spec: Body, status: Body) -> bool:
    """Return whether the main container will never run again, even if a sidecar still runs."""
    if status.get("phase") in {"Succeeded", "Failed"}:
        return True
    ended = _status_of(main, status).get("state", {}).get("terminated")
    if not ended or main.get("restartPolicyRules"):  # with rules, it is the kubelet's to say
        return False
    policy = main.get("restartPolicy") or spec.get("restartPolicy", "Always")
    return bool(policy == "Never" or (policy == "OnFailure" and ended.get("exitCode") == 0))


def _completed_seconds(found: Body, *, finished: bool) -> float | None:
    """Return how long the last run of the main container took if it ended well; see `Pod`."""
    state = found.get("state", {})
    waits = (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    run = state.get("terminated") if finished else found.get("lastState", {}).get("terminated")
    if not run or run.get("exitCode") != 0 or not (finished or waits):
        return None
    begin, end = run.get("startedAt"), run.get("finishedAt")
    return seconds_since(begin, datetime.fromisoformat(end)) if begin and end else 0.0


def _status_of(container: Body, status: Body) -> Body:
    """Return the status of a container; empty if there is none."""
    name = container["name"]
    return next((each for each in status.get("containerStatuses") or () if each["name"] == name), {})


def _ips(status: Body) -> tuple[str, ...]:
    found = (status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ()))
    # The API server takes at most one IPv4 and one IPv6 address.
    return tuple(dict.fromkeys(bounded(ip, MAX_ADDRESS) for ip in found if ip))[:2]


def _failures(annotations: Body) -> int:
    """Return the number in the annotation; 0 if it is unreadable, as anybody may edit it."""
    text = annotations.get(labels.FAILURES, "")
    return min(int(text), MAX_FAILURES) if text.isdecimal() and len(text) <= MAX_WORD else 0


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


def _scheduler_ports(body: Body) -> SchedulerPorts | None:
    # By the owner, since anybody may remove the label from a scheduler, which stays one.
    owner = controller_of(body)
    return SchedulerPorts.of(body["spec"]) if owner and owner.kind == DASK_CLUSTERS.kind else None


def _bounded(trouble: Finding | None) -> Finding | None:
    return trouble and Finding(bounded(trouble.reason, MAX_REASON), bounded(trouble.message, MAX_MESSAGE))
