"""Why a scheduler has not started yet: named checks, of which the first match is the reason. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from dask_k8s_client import observed
from dask_k8s_client.observed import Container, Observed
from dask_k8s_crds.hints import hint

CONTROLLER_PATIENCE = 30.0
"""Seconds in which a controller should have seen a new object; it may restart or lose its leadership."""

_PERMANENT_PULL_ERROR = re.compile(
    r"not found|manifest unknown|does not exist|denied|unauthorized|forbidden|authentication required"
    r"|no such host|invalid reference",
    re.IGNORECASE,
)
"""Errors of a registry for which another attempt does not help."""
_PERMANENT_IMAGE_REASONS = {"InvalidImageName", "ErrImageNeverPull"}
_TEMPORARY_IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"}
_PERMANENT_CONDITIONS = {"InvalidSpec", "Forbidden"}
"""Reasons of ``Degraded`` that only a change by the user can end."""
_HINTS = {
    # A quota refuses pods that do not declare the resources that it limits.
    "failed quota": (
        "pass scheduler_resources for the scheduler, resources for the workers, and runner_resources for the"
        " client of a job"
    ),
    'violates PodSecurity "restricted': "the argument run_as_user makes pods that it takes",
}
"""Part of a message, and what the user can do about it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a scheduler has not started."""

    reason: str
    message: str
    final: bool = False
    """Whether waiting longer is useless."""
    container: str | None = None
    """The container whose log may contain more."""


def _hint(o: Observed, container: Container) -> str:
    return hint(observed.template(o.pod, container.name), container.exit_code, container.output)


def cluster_is_deleted(o: Observed) -> Diagnosis | None:
    """The DaskCluster was deleted while we waited."""
    if o.cluster is None or observed.is_terminating(o.cluster):
        return Diagnosis("Deleted", "the cluster was deleted while it was starting", final=True)
    return None


def cluster_is_suspended(o: Observed) -> Diagnosis | None:
    """A suspended cluster starts nothing."""
    if o.cluster is not None and (o.cluster.get("spec") or {}).get("suspend"):
        return Diagnosis("Suspended", "the cluster is suspended: set its spec.suspend to false", final=True)
    return None


def spec_is_refused(o: Observed) -> Diagnosis | None:
    """The controller cannot create what the spec demands."""
    degraded = observed.true_condition(o.status, "Degraded")
    if degraded.get("reason") in _PERMANENT_CONDITIONS:
        message = degraded.get("message", "")
        return Diagnosis(degraded["reason"], with_hints(message), final=True)
    return None


def with_hints(message: str) -> str:
    """Return a message of the controller with what the user can do about it, if there is such advice."""
    return "; ".join([message, *(hint for part, hint in _HINTS.items() if part in message)])


def scheduler_crashes(o: Observed) -> Diagnosis | None:
    """A container has failed repeatedly, and Kubernetes delays the next restart."""
    for each in observed.containers(o.pod):
        if each.reason == "CrashLoopBackOff":
            why = f", {each.last_reason}" if each.last_reason not in ("", "Error") else ""
            end = f"exit code {each.exit_code}{why}; restarts: {each.restarts}"
            message = f"container {each.name} ends again and again ({end}){_hint(o, each)}"
            return Diagnosis("CrashLoopBackOff", message, final=True, container=each.name)
    return None


def scheduler_has_ended(o: Observed) -> Diagnosis | None:
    """The pod has failed or succeeded. After an eviction it has a reason, and the controller replaces it."""
    if o.pod is None or not observed.is_finished(o.pod):
        return None
    status = o.pod["status"]
    if status.get("reason"):
        return Diagnosis(status["reason"], f"the scheduler's pod was ended: {status.get('message', '')}")
    # Its init containers, which come first, have ended as well.
    ends = [each for each in observed.containers(o.pod) if each.exit_code is not None]
    ended = next((each for each in ends if each.exit_code), ends[-1] if ends else None)
    message = f"the scheduler has ended with exit code {ended.exit_code if ended else 'unknown'}"
    message += _hint(o, ended) if ended else ""
    return Diagnosis("Ended", message, final=True, container=ended.name if ended else None)


def image_cannot_be_pulled(o: Observed) -> Diagnosis | None:
    """The registry refuses the image or cannot be reached."""
    for each in observed.containers(o.pod):
        if each.reason in _PERMANENT_IMAGE_REASONS | _TEMPORARY_IMAGE_REASONS:
            cause = each.message or each.reason
            event = observed.last_event(o, "Warning")
            if event and event.get("message") and not _PERMANENT_PULL_ERROR.search(cause):
                cause = event["message"]  # the message of a back-off often lacks the cause
            final = each.reason in _PERMANENT_IMAGE_REASONS or _PERMANENT_PULL_ERROR.search(cause) is not None
            return Diagnosis(each.reason, f"container {each.name}: {cause}", final=final)
    return None


def container_cannot_start(o: Observed) -> Diagnosis | None:
    """A missing Secret, command or similar, which may still appear."""
    for each in observed.containers(o.pod):
        if each.reason.endswith("Error") and each.message:
            return Diagnosis(each.reason, f"container {each.name}: {each.message}", container=each.name)
    return None


def scheduler_is_unschedulable(o: Observed) -> Diagnosis | None:
    """No node fits at present; a new one may."""
    scheduled = observed.find_condition(o.pod.get("status") or {}, "PodScheduled") if o.pod else {}
    if scheduled.get("status") == "False":
        message = f"no node for the scheduler: {scheduled.get('message', '')}"
        return Diagnosis(scheduled.get("reason", "Unschedulable"), message)
    return None


def scheduler_is_not_reachable(o: Observed) -> Diagnosis | None:
    """The pod is ready, and something else is missing, such as its service."""
    if o.pod is None or not o.pod_is_ready or not o.status:
        return None
    ready = observed.find_condition(o.status, "SchedulerReady")
    why = observed.true_condition(o.status, "Degraded") or ready
    return Diagnosis(why.get("reason", "NotReady"), why.get("message", "the scheduler cannot be reached yet"))


def scheduler_is_not_ready(o: Observed) -> Diagnosis | None:
    """The pod runs, but its readiness probe does not succeed yet."""
    if o.pod is None or observed.phase(o.pod) != "Running":
        return None
    event = observed.last_event(o, "Warning")
    detail = f": {event.get('message', '')}" if event else ""
    container = next((each.name for each in observed.containers(o.pod) if not each.ready), None)
    return Diagnosis("NotReady", f"the scheduler runs but is not ready{detail}", container=container)


def scheduler_is_pending(o: Observed) -> Diagnosis | None:
    """The pod is being prepared; the last warning may say what it waits for."""
    if o.pod is None:
        return None
    event = observed.last_event(o, "Warning") or observed.last_event(o)
    detail = f": {observed.explanation(event)}" if event else ""
    return Diagnosis("Pending", f"the scheduler's pod is {observed.phase(o.pod)}{detail}")


def cluster_is_degraded(o: Observed) -> Diagnosis | None:
    """There is no scheduler pod, and the controller reports why."""
    if degraded := observed.true_condition(o.status, "Degraded"):
        return Diagnosis(degraded.get("reason", "Degraded"), degraded.get("message", ""))
    return None


def scheduler_is_missing(o: Observed) -> Diagnosis | None:
    """The controller has seen the cluster, but there is no scheduler pod."""
    if not o.status:
        return None
    if o.pods is None:
        ready = observed.find_condition(o.status, "SchedulerReady")
        return Diagnosis(ready.get("reason", "NotReady"), ready.get("message", "the scheduler is not ready"))
    return Diagnosis("NoScheduler", "the controller has not made the scheduler's pod")


_Checks = tuple[Callable[[Observed], Diagnosis | None], ...]
ALWAYS: _Checks = (cluster_is_deleted, cluster_is_suspended, spec_is_refused)
UNTIL_READY: _Checks = (
    scheduler_crashes,
    scheduler_has_ended,
    image_cannot_be_pulled,
    container_cannot_start,
    scheduler_is_unschedulable,
    scheduler_is_not_reachable,
    scheduler_is_not_ready,
    scheduler_is_pending,
    cluster_is_degraded,
    scheduler_is_missing,
)


def diagnose(o: Observed, waited: float) -> Diagnosis | None:
    """Return why the scheduler is not ready after `waited` seconds; None if it is ready."""
    checks = ALWAYS if o.is_ready else ALWAYS + UNTIL_READY
    for check in checks:
        if diagnosis := check(o):
            return diagnosis
    if o.is_ready:
        return None
    message = "no controller has taken notice of the cluster; is the Dask Operator running?"
    return Diagnosis("NoController", message, final=waited >= CONTROLLER_PATIENCE)
