"""Why a scheduler has not started yet: a list of named facts, the first that holds is the reason. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from dask_k8s_client.waiting.observed import Observed, containers, find_condition, is_going, last_event, phase

# So long may a controller take to notice a new cluster; it may be restarting, or another one may take over.
CONTROLLER_PATIENCE = 30.0

# What a registry says when asking again will not help.
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|does not exist|denied|unauthorized|forbidden|authentication required"
    r"|no such host|invalid reference",
    re.IGNORECASE,
)
_IMAGE_REASONS = frozenset(
    (
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    )
)
_HOPELESS_IMAGE = frozenset(("InvalidImageName", "ErrImageNeverPull"))
# A template that is refused stays refused, and nobody but the user changes it.
_HOPELESS_CONDITIONS = frozenset(("InvalidSpec", "Forbidden"))
_HINTS = {
    # A quota counts what pods say that they need, so it takes none that do not say it.
    "failed quota": "say it by the arguments scheduler_resources and, of each worker, resources",
    'violates PodSecurity "restricted': "the argument run_as_user makes pods that it takes",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Why it has not started."""

    reason: str
    message: str
    final: bool = False
    """Waiting longer will not help."""
    container: str | None = None
    """Whose log may say more."""


def cluster_is_deleted(o: Observed) -> Finding | None:
    """Somebody else wants it gone."""
    if o.cluster is None or is_going(o.cluster):
        return Finding("Deleted", "the cluster was deleted while it was starting", final=True)
    return None


def cluster_is_suspended(o: Observed) -> Finding | None:
    """Nothing starts until somebody wants it to."""
    if o.cluster is not None and (o.cluster.get("spec") or {}).get("suspend"):
        return Finding("Suspended", "the cluster is suspended: set its spec.suspend to false", final=True)
    return None


def spec_is_refused(o: Observed) -> Finding | None:
    """The controller cannot make what the spec asks for."""
    degraded = find_condition(o.status, "Degraded")
    if degraded.get("status") == "True" and degraded.get("reason") in _HOPELESS_CONDITIONS:
        message = degraded.get("message", "")
        hints = [hint for words, hint in _HINTS.items() if words in message]
        return Finding(degraded["reason"], "; ".join([message, *hints]), final=True)
    return None


def scheduler_crashes(o: Observed) -> Finding | None:
    """A container has ended at least twice and Kubernetes pauses before the next time."""
    for each in containers(o.pod) if o.pod else ():
        if each.reason == "CrashLoopBackOff":
            end = f"exit code {each.exit_code}" + (
                f", {each.ended}" if each.ended not in ("", "Error") else ""
            )
            message = f"container {each.name} ends again and again ({end}; restarts: {each.restarts})"
            return Finding("CrashLoopBackOff", message, final=True, container=each.name)
    return None


def scheduler_has_ended(o: Observed) -> Finding | None:
    """A pod that is over by itself; one that was evicted is made anew by the controller."""
    if o.pod is None or phase(o.pod) not in ("Failed", "Succeeded"):
        return None
    status = o.pod["status"]
    if status.get("reason"):
        return Finding(status["reason"], f"the scheduler's pod was ended: {status.get('message', '')}")
    ended = next((each for each in containers(o.pod) if each.exit_code is not None), None)
    code = ended.exit_code if ended else "unknown"
    message = f"the scheduler has ended with exit code {code}"
    return Finding("Ended", message, final=True, container=ended.name if ended else None)


def image_cannot_be_pulled(o: Observed) -> Finding | None:
    """The registry refuses or is not there."""
    for each in containers(o.pod) if o.pod else ():
        if each.reason in _IMAGE_REASONS:
            words = each.message or each.reason
            event = last_event(o, "Warning")
            if event and event.get("message") and not _NO_SUCH_IMAGE.search(words):
                words = event["message"]  # the back-off itself often does not say why
            final = each.reason in _HOPELESS_IMAGE or _NO_SUCH_IMAGE.search(words) is not None
            return Finding(each.reason, f"container {each.name}: {words}", final=final)
    return None


def container_cannot_start(o: Observed) -> Finding | None:
    """A missing Secret, a command that is not there and the like; they may still come."""
    for each in containers(o.pod) if o.pod else ():
        if each.reason.endswith("Error") and each.message:
            return Finding(each.reason, f"container {each.name}: {each.message}", container=each.name)
    return None


def scheduler_is_unschedulable(o: Observed) -> Finding | None:
    """No node has room for it; one may come."""
    scheduled = find_condition(o.pod.get("status") or {}, "PodScheduled") if o.pod else {}
    if scheduled.get("status") == "False":
        return Finding(
            scheduled.get("reason", "Unschedulable"),
            f"no node for the scheduler: {scheduled.get('message', '')}",
        )
    return None


def scheduler_is_not_ready(o: Observed) -> Finding | None:
    """It runs, and its probe does not succeed yet."""
    if o.pod is None or phase(o.pod) != "Running":
        return None
    event = last_event(o, "Warning")
    words = f": {event.get('message', '')}" if event else ""
    container = next((each.name for each in containers(o.pod)), None)
    return Finding("NotReady", f"the scheduler runs but is not ready{words}", container=container)


def scheduler_is_pending(o: Observed) -> Finding | None:
    """It is being prepared; the last warning may say what for."""
    if o.pod is None:
        return None
    event = last_event(o, "Warning") or last_event(o)
    words = f": {event.get('reason', '')}: {event.get('message', '')}" if event else ""
    return Finding("Pending", f"the scheduler's pod is {phase(o.pod)}{words}")


def cluster_is_degraded(o: Observed) -> Finding | None:
    """There is no scheduler pod, and the controller says why."""
    degraded = find_condition(o.status, "Degraded")
    if degraded.get("status") == "True":
        return Finding(degraded.get("reason", "Degraded"), degraded.get("message", ""))
    return None


def nothing_is_there_yet(o: Observed) -> Finding | None:
    """The controller has seen the cluster, and that is all."""
    if not o.status:
        return None
    if o.pods is None:
        ready = find_condition(o.status, "SchedulerReady")
        return Finding(ready.get("reason", "NotReady"), ready.get("message", "the scheduler is not ready"))
    return Finding("NoScheduler", "the controller has not made the scheduler's pod")


ALWAYS: tuple[Callable[[Observed], Finding | None], ...] = (
    cluster_is_deleted,
    cluster_is_suspended,
    spec_is_refused,
)
UNTIL_READY: tuple[Callable[[Observed], Finding | None], ...] = (
    scheduler_crashes,
    scheduler_has_ended,
    image_cannot_be_pulled,
    container_cannot_start,
    scheduler_is_unschedulable,
    scheduler_is_not_ready,
    scheduler_is_pending,
    cluster_is_degraded,
    nothing_is_there_yet,
)


def diagnose(observed: Observed, waited: float) -> Finding | None:
    """Why the scheduler is not ready, `waited` seconds after the cluster was there; None if it is."""
    checks = ALWAYS if observed.is_ready else ALWAYS + UNTIL_READY
    for check in checks:
        if found := check(observed):
            return found
    if observed.is_ready:
        return None
    return Finding(
        "NoController",
        "no controller has taken notice of the cluster; is the Dask Operator running?",
        final=waited >= CONTROLLER_PATIENCE,
    )
