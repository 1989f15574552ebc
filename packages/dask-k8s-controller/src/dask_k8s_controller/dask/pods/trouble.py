"""What keeps a pod from running, and since when, read from its status. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.pods.restarts import total_delay
from dask_k8s_controller.runtime.objects import Body
from dask_k8s_crds.hints import hint

_PULL_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
}


_BACK_OFF = re.compile(r"back-off (\w{1,16}) restarting")
"""How the kubelet says how long it waits before it restarts a container."""


def pod_trouble(
    spec: Body, status: Body, conditions: Mapping[str, Body], *, finished: bool
) -> Finding | None:
    """Return what keeps a pod from running; ``conditions`` are those of the status, by type.

    ``finished``: its main container will never run again.
    """
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Finding("Unschedulable", scheduled.get("message", ""))
    if finished:
        return _end(status, spec)
    return next(filter(None, (_container_trouble(each, spec) for each in _containers(status))), None)


def pod_stalled_since(
    trouble: Finding | None, body: Body, conditions: Mapping[str, Body], failures: int, *, finished: bool
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
    elif not finished:
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
        back_off = _BACK_OFF.search(message)
        wait = f"; the kubelet restarts it {back_off[1]} after {last.get('finishedAt')}" if back_off else ""
        message = f"container {name} keeps ending with {_exit(last)}{wait}{_hint(last, name, spec)}"
        return Finding("CrashLoopBackOff", message)
    if reason.endswith("Error"):
        return Finding(reason, f"container {name}: {message or reason}")
    return None


def _end(status: Body, spec: Body) -> Finding:
    """Return how a pod ended, or its main container while others still run."""
    ends = [
        (container["name"], terminated)
        for container in status.get("containerStatuses") or ()
        if (terminated := container.get("state", {}).get("terminated"))
    ]
    exits = ", ".join(f"{_exit(end)}{_hint(end, name, spec)}" for name, end in ends)
    if status.get("phase") == "Failed" or any(end.get("exitCode") != 0 for _, end in ends):
        message = status.get("message") or exits or "the pod failed"
        return Finding(status.get("reason") or "PodFailed", message)
    return Finding("PodCompleted", exits or "the pod ended")


def _exit(terminated: Body) -> str:
    return f"exit code {terminated.get('exitCode')} ({terminated.get('reason', 'Error')})"


def _hint(terminated: Body, name: str, spec: Body) -> str:
    return hint(_template(spec, name), terminated.get("exitCode"), terminated.get("message") or "")


def _image(spec: Body, name: str) -> str:
    return str(_template(spec, name).get("image", ""))


def _template(spec: Body, name: str) -> Body:
    """Return a container of the spec by its name; empty if there is none."""
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    return next((container for container in containers if container["name"] == name), {})
