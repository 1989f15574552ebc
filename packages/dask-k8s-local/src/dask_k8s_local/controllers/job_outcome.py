"""Decides how a Job ends: failed pods, pod failure policy, deadline and back-off. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from dask_k8s_local.conditions import is_finished
from dask_k8s_local.store import Object, namespace_of

_FIRST_BACKOFF = timedelta(seconds=10)
_LONGEST_BACKOFF = timedelta(minutes=10)
TERMINAL = ("Complete", "Failed")


class Outcome(NamedTuple):
    """How a Job ends and why; `kind` is the condition that is set before all pods have terminated."""

    kind: str
    reason: str
    message: str

    @property
    def terminal(self) -> str:
        """Return the condition that is set after all pods have terminated."""
        return "Complete" if self.kind == "SuccessCriteriaMet" else "Failed"


COMPLETED = Outcome("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")


def condition_of(job: Object, *kinds: str) -> Object | None:
    """Return the first of these conditions that is True."""
    conditions = job["status"].get("conditions") or ()
    return next((one for one in conditions if one["type"] in kinds and one["status"] == "True"), None)


def recorded_outcome(job: Object) -> Outcome | None:
    """Return the outcome that an earlier sync has written to the conditions."""
    found = condition_of(job, "SuccessCriteriaMet") or condition_of(job, "FailureTarget")
    return Outcome(found["type"], found["reason"], found["message"]) if found else None


def phase(pod: Object) -> str:
    """Return the phase of a pod."""
    found: str = (pod.get("status") or {}).get("phase", "Pending")
    return found


def is_active(pod: Object) -> bool:
    """Return whether a pod is pending or running and not being deleted."""
    return not is_finished(pod) and not pod["metadata"].get("deletionTimestamp")


def is_terminating(pod: Object) -> bool:
    """Return whether a pod is being deleted and has not terminated."""
    return not is_finished(pod) and bool(pod["metadata"].get("deletionTimestamp"))


def waits_for_termination(job: Object) -> bool:
    """Return whether a pod is replaced only after it has terminated."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or bool(spec.get("podFailurePolicy"))


def has_failed(pod: Object, job: Object) -> bool:
    """Return whether a pod counts as failed; a pod being deleted does, unless its termination is awaited."""
    return phase(pod) == "Failed" or (is_terminating(pod) and not waits_for_termination(job))


def is_ignored(pod: Object, job: Object) -> bool:
    """Return whether the pod failure policy ignores this failure."""
    rule = _matching(job, pod)
    return rule is not None and rule[1]["action"] == "Ignore"


def failure(job: Object, pods: Sequence[Object], failures: int, now: datetime) -> Outcome | None:
    """Return the outcome of a Job that has failed, or None."""
    for pod in pods:
        if has_failed(pod, job) and (rule := _matching(job, pod)) and rule[1]["action"] == "FailJob":
            return Outcome("FailureTarget", "PodFailurePolicy", rule[2])
    if failures > job["spec"]["backoffLimit"] or _restarted_too_often(job, pods):
        text = "Job has reached the specified backoff limit"
        return Outcome("FailureTarget", "BackoffLimitExceeded", text)
    rest = deadline(job, now)
    if rest is not None and rest <= 0:
        return Outcome("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
    return None


def deadline(job: Object, now: datetime) -> float | None:
    """Return the seconds until the deadline of a Job; None without one and while suspended."""
    seconds, started = job["spec"].get("activeDeadlineSeconds"), job["status"].get("startTime")
    if seconds is None or started is None or job["spec"].get("suspend"):
        return None
    return float(seconds) - (now - datetime.fromisoformat(started)).total_seconds()


def backoff(failures: int, last: datetime | None, now: datetime) -> float:
    """Return the seconds to wait before the next pod, after a number of failures in a row."""
    if not failures or last is None:
        return 0.0
    pause = min(_FIRST_BACKOFF * 2 ** min(failures - 1, 10), _LONGEST_BACKOFF)
    rest: float = (last + pause - now).total_seconds()
    return max(0.0, rest)


def ended_at(pod: Object) -> datetime:
    """Return when a pod terminated, as far as its status shows."""
    status = pod.get("status") or {}
    ends = [one["state"].get("terminated") for one in status.get("containerStatuses") or ()]
    times = [end["finishedAt"] for end in ends if end and end.get("finishedAt")]
    metadata = pod["metadata"]
    return datetime.fromisoformat(
        max(times, default="") or metadata.get("deletionTimestamp") or metadata["creationTimestamp"]
    )


def _restarted_too_often(job: Object, pods: Iterable[Object]) -> bool:
    spec = job["spec"]
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    counts = [one.get("restartCount", 0) for pod in pods if not is_finished(pod) for one in _statuses(pod)]
    return bool(sum(counts) >= max(spec["backoffLimit"], 1))


def _statuses(pod: Object) -> Iterator[Object]:
    status = pod.get("status") or {}
    yield from status.get("containerStatuses") or ()
    yield from status.get("initContainerStatuses") or ()


def _matching(job: Object, pod: Object) -> tuple[int, Mapping[str, Any], str] | None:
    """Return the index of the first rule that matches a failed pod, the rule, and a message."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    pod_name = f"{namespace_of(pod)}/{pod['metadata']['name']}"
    for index, rule in enumerate(rules):
        matching = f"matching {rule['action']} rule at index {index}"
        if (codes := rule.get("onExitCodes")) and (found := _matching_container(codes, pod)):
            code = found["state"]["terminated"]["exitCode"]
            message = f"Container {found['name']} for pod {pod_name} failed with exit code {code} {matching}"
            return index, rule, message
        for pattern in rule.get("onPodConditions") or ():
            for one in (pod.get("status") or {}).get("conditions") or ():
                if (one["type"], one["status"]) == (pattern["type"], pattern["status"]):
                    return index, rule, f"Pod {pod_name} has condition {one['type']} {matching}"
    return None


def _matching_container(codes: Mapping[str, Any], pod: Object) -> Object | None:
    for one in _statuses(pod):
        code = ((one.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
        if code and codes.get("containerName") in {None, one["name"]}:
            listed = code in codes["values"]
            if listed == (codes["operator"] == "In"):
                return one
    return None
