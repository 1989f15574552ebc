"""What keeps a pod from running, and since when, read from its status. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.restarts import total_delay
from dask_k8s_controller.runtime.objects import Body

_PULL_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
}


def pod_trouble(spec: Body, status: Body, conditions: Mapping[str, Body]) -> Finding | None:
    """Return what keeps a pod from running; ``conditions`` are those of the status, by type."""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Finding("Unschedulable", scheduled.get("message", ""))
    if status.get("phase") == "Failed":
        return Finding(status.get("reason") or "PodFailed", _failure(status))
    return next(filter(None, (_container_trouble(each, spec) for each in _containers(status))), None)


def pod_stalled_since(
    trouble: Finding | None, body: Body, conditions: Mapping[str, Body], failures: int
) -> str:
    """Return since when a pod has had its trouble or has not been ready, by what the API server knows.

    A pod that fails again and again has run in between. Therefore the delays before its restarts, or after
    the ``failures`` of the workers that it replaces, belong to the trouble.
    """
    status = body.get("status") or {}
    reason = trouble.reason if trouble else ""
    kind = "PodScheduled" if reason == "Unschedulable" else "Ready"
    since = conditions.get(kind, {}).get("lastTransitionTime") or body["metadata"]["creationTimestamp"]
    if reason == "CrashLoopBackOff":
        failures = max((each.get("restartCount", 0) for each in _containers(status)), default=0) - 1
    elif status.get("phase") != "Failed":
        return str(since)
    earlier = datetime.fromisoformat(since) - timedelta(seconds=total_delay(failures))
    return earlier.strftime("%Y-%m-%dT%H:%M:%SZ")


def _containers(status: Body) -> tuple[Body, ...]:
    return (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))


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
