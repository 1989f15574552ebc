"""What is observed of a cluster, its pods and its service. No requests, no decisions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_client.api.requests import Selector
from dask_k8s_client.arguments import JSON
from dask_k8s_crds import labels, names, scheduler_pod
from dask_k8s_crds.resources import DASK_JOBS
from dask_k8s_crds.scheduler_pod import PodState


@dataclass(frozen=True, slots=True)
class Observed:
    """A cluster and its scheduler at one moment."""

    cluster: JSON | None
    """The DaskCluster; None if it was deleted."""
    pods: tuple[JSON, ...] | None
    """Those of the scheduler; None without the permission to list them."""
    events: tuple[JSON, ...] = ()
    """About the scheduler, oldest first."""

    @property
    def status(self) -> JSON:
        """The status of the DaskCluster; empty until a controller has written one."""
        return ((self.cluster or {}).get("status")) or {}

    @property
    def pod(self) -> JSON | None:
        """The pod that is the scheduler; if there is none, the newest that has ended."""
        ended = (each for each in self.pods or () if not is_terminating(each) and is_finished(each))
        newest = max(ended, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
        return scheduler_of(self.pods or ()) or newest

    @property
    def pod_is_ready(self) -> bool:
        """Whether the scheduler's pod is ready, as far as we may see it."""
        return self.pods is None or (self.pod is not None and is_ready(self.pod))

    @property
    def is_ready(self) -> bool:
        """Whether the scheduler accepts connections of clients and workers.

        A client may do without the address of a load balancer, and waits for it itself if not.
        """
        ready = find_condition(self.status, "SchedulerReady")
        is_reachable = ready.get("status") == "True" or ready.get("reason") == "LoadBalancerPending"
        return is_reachable and self.pod_is_ready


@dataclass(frozen=True, slots=True)
class Container:
    """The state of a container."""

    name: str
    ready: bool
    """An init container is ready once it has succeeded."""
    reason: str
    """Why it waits or has terminated; empty while it runs."""
    message: str
    restarts: int
    exit_code: int | None
    """Of its last termination."""
    last_reason: str
    """The reason of its last termination, such as ``OOMKilled``."""
    output: str
    """The message of its last termination, which may be the end of its log."""


def located(obj: Mapping[str, Any]) -> str:
    """Return the name and namespace of an object for a message."""
    return f"{obj['metadata']['name']} in the namespace {obj['metadata']['namespace']}"


def pods_of(owner: Mapping[str, Any]) -> Selector:
    """Return the selector of all pods of a DaskCluster, or of the pods that run the client of a DaskJob."""
    name = owner["metadata"]["name"]
    if owner.get("kind") == DASK_JOBS.kind:
        return Selector(labels=labels.selector({labels.JOB_NAME: names.runner(name)}))
    return Selector(labels=labels.selector({labels.CLUSTER_NAME: name}))


def scheduler_pods_of(cluster: Mapping[str, Any]) -> Selector:
    """Return the selector of the scheduler's pods."""
    return Selector(labels=labels.selector(labels.scheduler(cluster["metadata"]["name"])))


def scheduler_of(pods: Iterable[JSON]) -> JSON | None:
    """Return the pod that is the scheduler among those of a cluster."""
    return scheduler_pod.current(pods, _state)


def _state(pod: JSON) -> PodState:
    metadata = pod["metadata"]
    return PodState(metadata["creationTimestamp"], metadata["name"], is_terminating(pod), is_finished(pod))


def is_terminating(obj: Mapping[str, Any]) -> bool:
    """Return whether an object is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod is ready and not being deleted."""
    return not is_terminating(pod) and bool(true_condition(pod.get("status") or {}, "Ready"))


def find_condition(status: Mapping[str, Any], type_: str) -> JSON:
    """Return a condition; empty if there is no such condition."""
    return next((each for each in status.get("conditions") or () if each.get("type") == type_), {})


def true_condition(status: Mapping[str, Any], type_: str) -> JSON:
    """Return a condition whose status is True; empty if there is none."""
    condition = find_condition(status, type_)
    return condition if condition.get("status") == "True" else {}


def explanation(condition: Mapping[str, Any]) -> str:
    """Return the reason and message of a condition or an event."""
    return f"{condition.get('reason', '')}: {condition.get('message', '')}"


def phase(pod: Mapping[str, Any]) -> str:
    """Return ``Pending``, ``Running``, ``Succeeded`` or ``Failed``."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Return whether none of a pod's containers will ever run again."""
    return phase(pod) in ("Succeeded", "Failed")


def container_statuses(pod: Mapping[str, Any]) -> list[JSON]:
    """Return the status of each container of a pod, its init containers first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def containers(pod: Mapping[str, Any] | None) -> Iterator[Container]:
    """Yield the containers of a pod, its init containers first; none if there is no pod."""
    for each in container_statuses(pod or {}):
        state = each.get("state") or {}
        inactive = state.get("waiting") or state.get("terminated") or {}
        last = state.get("terminated") or (each.get("lastState") or {}).get("terminated") or {}
        yield Container(
            name=each["name"],
            ready=each.get("ready", False),
            reason=inactive.get("reason", ""),
            message=inactive.get("message", ""),
            restarts=each.get("restartCount", 0),
            exit_code=last.get("exitCode"),
            last_reason=last.get("reason", ""),
            output=last.get("message") or "",
        )


def template(pod: Mapping[str, Any] | None, name: str) -> JSON:
    """Return a container of a pod's spec; empty if there is none of this name."""
    spec = (pod or {}).get("spec") or {}
    all_containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return next((each for each in all_containers if each.get("name") == name), {})


def last_event(observed: Observed, type_: str | None = None) -> JSON | None:
    """Return the newest event about the scheduler's pod, of this type if one is passed."""
    # Not by name, because the events of an earlier pod of the same name remain for an hour.
    uid = observed.pod["metadata"]["uid"] if observed.pod else None
    for each in reversed(observed.events):
        if each["involvedObject"].get("uid") == uid and type_ in (None, each.get("type")):
            return each
    return None


def is_owned(pod: Mapping[str, Any], uid: str) -> bool:
    """Return whether a pod's owner has this uid; an earlier cluster of the same name may have left pods."""
    return any(each.get("uid") == uid for each in pod["metadata"].get("ownerReferences") or ())


def node_addresses(pod: Mapping[str, Any], node: Mapping[str, Any] | None) -> list[str]:
    """Return the addresses of a pod's node: the external ones of the node, then those in the pod's status."""
    known = ((node or {}).get("status") or {}).get("addresses") or ()
    status = pod.get("status") or {}
    external = [each["address"] for each in known if each.get("type") == "ExternalIP"]
    internal = [each["ip"] for each in status.get("hostIPs") or () if each.get("ip")]
    return list(dict.fromkeys([*external, *(internal or filter(None, [status.get("hostIP")]))]))
