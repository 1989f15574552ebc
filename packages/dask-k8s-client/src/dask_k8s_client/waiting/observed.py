"""What is seen of a cluster while it starts, and plain questions about it. No requests, no decisions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_client.aliases import JSON


@dataclass(frozen=True, slots=True)
class Observed:
    """One look at a cluster."""

    cluster: JSON | None
    """The DaskCluster; None if it is gone."""
    pods: tuple[JSON, ...] | None
    """The scheduler's; None where we may not look."""
    events: tuple[JSON, ...] = ()
    """About the scheduler, oldest first."""

    @property
    def status(self) -> JSON:
        """That of the DaskCluster; empty until a controller has seen it."""
        return ((self.cluster or {}).get("status")) or {}

    @property
    def pod(self) -> JSON | None:
        """The scheduler's pod: the newest that is not on its way out."""
        here = [each for each in self.pods or () if not is_going(each)]
        return max(here, key=lambda each: each["metadata"]["creationTimestamp"], default=None)

    @property
    def is_ready(self) -> bool:
        """The scheduler can be connected to."""
        if self.pods is None:
            return condition(self.status, "SchedulerReady") == "True"
        return self.pod is not None and is_ready(self.pod)


@dataclass(frozen=True, slots=True)
class Container:
    """A container and why it does not run."""

    name: str
    reason: str
    """Of waiting, or of having ended; empty when it runs."""
    message: str
    restarts: int
    exit_code: int | None
    """Of its last end."""
    ended: str
    """The reason of its last end, such as ``OOMKilled``."""


def is_going(obj: Mapping[str, Any]) -> bool:
    """It is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """It serves."""
    return not is_going(pod) and condition(pod.get("status") or {}, "Ready") == "True"


def condition(status: Mapping[str, Any], type_: str) -> str:
    """`True`, `False` or `Unknown`; empty if it is not there."""
    return str(find_condition(status, type_).get("status", ""))


def find_condition(status: Mapping[str, Any], type_: str) -> JSON:
    """A whole condition; empty if it is not there."""
    return next((each for each in status.get("conditions") or () if each.get("type") == type_), {})


def phase(pod: Mapping[str, Any]) -> str:
    """`Pending`, `Running`, `Succeeded`, `Failed`."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def containers(pod: Mapping[str, Any]) -> Iterator[Container]:
    """All of a pod, those that initialise it first."""
    status = pod.get("status") or {}
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        state = each.get("state") or {}
        stopped = state.get("waiting") or state.get("terminated") or {}
        ended = state.get("terminated") or (each.get("lastState") or {}).get("terminated") or {}
        yield Container(
            name=each["name"],
            reason=stopped.get("reason", ""),
            message=stopped.get("message", ""),
            restarts=each.get("restartCount", 0),
            exit_code=ended.get("exitCode"),
            ended=ended.get("reason", ""),
        )


def last_event(observed: Observed, type_: str | None = None) -> JSON | None:
    """The newest event about the scheduler's pod, of one type if that matters.

    By its uid: events of an earlier pod of the same name stay for an hour.
    """
    uid = observed.pod["metadata"]["uid"] if observed.pod else None
    for each in reversed(observed.events):
        if each["involvedObject"].get("uid") == uid and type_ in (None, each.get("type")):
            return each
    return None


def belongs(pod: Mapping[str, Any], uid: str) -> bool:
    """Its owner is the cluster `uid`, not one that had its name before and whose pods may still be there."""
    return any(each.get("uid") == uid for each in pod["metadata"].get("ownerReferences") or ())


def container_port(service: Mapping[str, Any] | None, pod: Mapping[str, Any], name: str, default: int) -> int:
    """Where a named port of a service ends in a pod."""
    ports = ((service or {}).get("spec") or {}).get("ports") or ()
    target = next(
        (each.get("targetPort", each["port"]) for each in ports if each.get("name") == name), default
    )
    if isinstance(target, int):
        return target
    declared = [port for each in pod["spec"]["containers"] for port in each.get("ports") or ()]
    return next((port["containerPort"] for port in declared if port.get("name") == target), default)


def service_port(service: Mapping[str, Any] | None, name: str, key: str, default: int) -> int:
    """A named port of a service as its clients see it: `port` or `nodePort`."""
    ports = ((service or {}).get("spec") or {}).get("ports") or ()
    return next((int(each[key]) for each in ports if each.get("name") == name and key in each), default)


def node_addresses(pod: Mapping[str, Any], node: Mapping[str, Any] | None) -> list[str]:
    """Where the node of a pod may be reached: what the node calls external, then what the pod knows of it."""
    known = ((node or {}).get("status") or {}).get("addresses") or ()
    status = pod.get("status") or {}
    external = [each["address"] for each in known if each.get("type") == "ExternalIP"]
    internal = [each["ip"] for each in status.get("hostIPs") or () if each.get("ip")]
    return list(dict.fromkeys([*external, *(internal or filter(None, [status.get("hostIP")]))]))
