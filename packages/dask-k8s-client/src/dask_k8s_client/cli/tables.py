"""Clusters, worker groups, pods and events as rows and lines of text. No requests, no printing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.text import Text

from dask_k8s_client import observed, scaling
from dask_k8s_client.arguments import JSON
from dask_k8s_client.cli.output import Cell
from dask_k8s_crds import labels

CLUSTER_HEAD = ("NAME", "NAMESPACE", "PHASE", "WORKERS", "AGE")
CONDITION_HEAD = ("CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE")
GROUP_HEAD = ("GROUP", "WORKERS", "UPDATED", "AGE", "STATE")
POD_HEAD = ("POD", "COMPONENT", "RESTARTS", "AGE", "NODE", "STATE")
EVENT_HEAD = ("SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE")

EVENTS_SHOWN = 20
PODS_SHOWN = 50

_STYLES = {
    **dict.fromkeys(("Running", "Ready"), "green"),
    **dict.fromkeys(("Created", "Pending", "Terminating", "Warning"), "yellow"),
    **dict.fromkeys(("Error", "Failed"), "red"),
    **dict.fromkeys(("Suspended", "Normal"), "dim"),
}
_NEGATIVE_CONDITIONS = ("Degraded",)
"""Conditions whose healthy status is False."""


def cluster_rows(clusters: Iterable[JSON], now: datetime) -> Iterator[Sequence[Cell]]:
    """Yield the rows under CLUSTER_HEAD."""
    for each in clusters:
        metadata, workers = each["metadata"], _status(each).get("workers", "-")
        yield metadata["name"], metadata["namespace"], state(each), workers, _age_of(each, now)


def cluster_pairs(cluster: JSON, now: datetime) -> Iterator[tuple[str, Cell]]:
    """Yield names and values that describe a cluster."""
    metadata, status = cluster["metadata"], _status(cluster)
    yield "Name", metadata["name"]
    yield "Namespace", metadata["namespace"]
    yield "Phase", state(cluster)
    yield "Workers", f"{status['workers']} ready" if "workers" in status else "-"
    for name, key in (("Scheduler", "schedulerAddress"), ("Dashboard", "dashboardAddress")):
        if status.get(key):
            yield name, status[key]
    if status.get("idleSince"):
        yield "Idle for", age(status["idleSince"], now)
    yield "Age", _age_of(cluster, now)


def state(cluster: JSON) -> Text:
    """Return the phase of a cluster, with the reason if it is degraded."""
    if observed.is_terminating(cluster):
        return _styled("Terminating")
    status = _status(cluster)
    if not status:
        return Text("unseen by a controller", style="yellow")
    shown = _styled(str(status.get("phase", "-")))
    if degraded := observed.true_condition(status, "Degraded"):
        shown = Text.assemble(shown, (f" ({degraded.get('reason', '')})", "yellow"))
    return shown


def waiting_for(cluster: JSON) -> str | None:
    """Return what a cluster is waiting for, in one line; None if nothing."""
    status = _status(cluster)
    progressing, degraded = (observed.true_condition(status, kind) for kind in ("Progressing", "Degraded"))
    replicas, updated = status.get("replicas") or 0, status.get("updatedReplicas") or 0
    # A degraded rollout still goes on. With OnDelete, workers may be outdated without a rollout.
    if updated < replicas and (progressing or degraded):
        return f"Waiting for rollout: {updated} of {replicas} workers are updated"
    if not progressing:
        return None
    return f"Waiting: {progressing.get('message') or progressing.get('reason')}"


def condition_rows(obj: JSON, now: datetime) -> Iterator[Sequence[Cell]]:
    """Yield the rows under CONDITION_HEAD."""
    for each in _status(obj).get("conditions") or ():
        value = each["status"]
        is_good = value == ("False" if each["type"] in _NEGATIVE_CONDITIONS else "True")
        is_neutral = each["type"] == "Progressing"
        style = "" if is_neutral else "green" if is_good else "yellow"
        since = age(each.get("lastTransitionTime"), now)
        yield each["type"], Text(value, style=style), since, each.get("reason", ""), each.get("message", "")


def group_rows(groups: Iterable[JSON], now: datetime) -> Iterator[Sequence[Cell]]:
    """Yield the rows under GROUP_HEAD."""
    for group in groups:
        status = _status(group)
        workers = f"{status.get('readyReplicas', 0)}/{group['spec']['worker'].get('replicas', 1)}"
        conditions = [observed.find_condition(status, kind) for kind in ("Degraded", "Progressing", "Ready")]
        shown = next((each for each in conditions if each.get("status") == "True"), conditions[-1])
        state = observed.explanation(shown) if shown else "-"
        updated = str(status.get("updatedReplicas", "-"))
        yield group["metadata"]["name"], workers, updated, _age_of(group, now), state


def autoscaler_line(autoscaler: JSON) -> str:
    """Return the bounds of an autoscaler and the message of its condition."""
    bounds = scaling.bounds_of(autoscaler)
    active = observed.find_condition(_status(autoscaler), "Active")
    return f"{bounds}: {active['message']}" if active.get("message") else bounds


def pod_rows(pods: Iterable[JSON], now: datetime) -> list[Sequence[Cell]]:
    """Return the rows under POD_HEAD: the scheduler, then pods that are not ready, then others."""

    def order(pod: JSON) -> tuple[bool, bool, str]:
        metadata = pod["metadata"]
        component = (metadata.get("labels") or {}).get(labels.COMPONENT)
        return component != labels.SCHEDULER, observed.is_ready(pod), metadata["name"]

    ordered = sorted(pods, key=order)
    rows = [_pod_row(pod, now) for pod in ordered[:PODS_SHOWN]]
    left = len(ordered) - len(rows)
    return [*rows, (f"and {left} more", "", "", "", "", "")] if left else rows


def _pod_row(pod: JSON, now: datetime) -> Sequence[Cell]:
    metadata, node = pod["metadata"], pod["spec"].get("nodeName", "-")
    component = (metadata.get("labels") or {}).get(labels.COMPONENT, "-")
    restarts = str(sum(each.restarts for each in observed.containers(pod)))
    return metadata["name"], component, restarts, _age_of(pod, now), node, _pod_state(pod)


def _pod_state(pod: JSON) -> Text:
    if observed.is_terminating(pod):
        return _styled("Terminating")
    for each in observed.containers(pod):
        if each.reason and each.reason != "Completed":
            return Text(each.reason, style="yellow")
    status = _status(pod)
    scheduled = observed.find_condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return Text(scheduled.get("reason", "Unschedulable"), style="yellow")
    if observed.phase(pod) == "Running":
        return (
            _styled("Ready")
            if observed.true_condition(status, "Ready")
            else Text("not ready", style="yellow")
        )
    return _styled(observed.phase(pod))


def event_rows(events: Iterable[JSON], now: datetime) -> list[Sequence[Cell]]:
    """Return the rows under EVENT_HEAD, the newest last; equal events of several objects share a row."""
    alike: dict[tuple[str, ...], list[JSON]] = {}
    for each in sorted(events, key=_time):
        content = (each.get("type") or "", each.get("reason") or "", (each.get("message") or "").strip())
        alike[content] = alike.pop(content, [])  # move it to the end
        alike[content].append(each)
    return [
        (age(_time(about[-1]), now), _styled(kind), reason, _subjects(about), message)
        for (kind, reason, message), about in list(alike.items())[-EVENTS_SHOWN:]
    ]


def _subjects(events: Sequence[JSON]) -> str:
    about = [f"{each['involvedObject'].get('kind')}/{each['involvedObject'].get('name')}" for each in events]
    others = len(set(about)) - 1
    return f"{about[-1]} and {others} more" if others else about[-1]


def _time(event: JSON) -> str:
    seen = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp")
    return str(seen or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


_AGE_UNITS = ((120, 1, "s"), (3 * 3600, 60, "m"), (48 * 3600, 3600, "h"))
"""Below how many seconds a unit is used, its length in seconds, and its letter."""


def age(timestamp: str | None, now: datetime) -> str:
    """Return how long ago a timestamp was, in one unit: 90s, 5m, 36h, 12d."""
    if not timestamp:
        return "-"
    seconds = max(0, int((now - datetime.fromisoformat(timestamp).astimezone(UTC)).total_seconds()))
    for limit, unit, letter in _AGE_UNITS:
        if seconds < limit:
            return f"{seconds // unit}{letter}"
    return f"{seconds // 86400}d"


def _age_of(obj: JSON, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _styled(state: str) -> Text:
    return Text(state, style=_STYLES.get(state, ""))


def _status(obj: JSON) -> JSON:
    return obj.get("status") or {}
