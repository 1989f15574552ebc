"""What clusters, groups, pods and events look like in words: rows and lines. No requests, no printing."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.text import Text

from dask_k8s_client.aliases import JSON
from dask_k8s_client.cli.printing import Cell
from dask_k8s_client.parts import autoscaling
from dask_k8s_client.waiting.observed import containers, find_condition, is_going, is_ready, phase
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
# Of these it is good news that they do not hold.
_BAD = ("Degraded",)


def cluster_row(cluster: JSON, now: datetime) -> Sequence[Cell]:
    """Under CLUSTER_HEAD."""
    metadata = cluster["metadata"]
    return (
        metadata["name"],
        metadata["namespace"],
        state(cluster),
        _status(cluster).get("workers", "-"),
        age(metadata.get("creationTimestamp"), now),
    )


def cluster_pairs(cluster: JSON, now: datetime) -> Iterator[tuple[str, Cell]]:
    """A cluster by itself, in a few lines."""
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
    yield "Age", age(metadata.get("creationTimestamp"), now)


def state(cluster: JSON) -> Text:
    """The phase, and what is wrong."""
    if is_going(cluster):
        return _styled("Terminating")
    status = _status(cluster)
    if not status:
        return Text("unseen by a controller", style="yellow")
    found = _styled(str(status.get("phase", "-")))
    degraded = find_condition(status, "Degraded")
    if degraded.get("status") == "True":
        found = Text.assemble(found, (f" ({degraded.get('reason', '')})", "yellow"))
    return found


def waiting_for(cluster: JSON) -> str | None:
    """What is still to come, in one line; None if nothing is."""
    status = _status(cluster)
    progressing, degraded = (find_condition(status, kind) for kind in ("Progressing", "Degraded"))
    moves = progressing.get("status") == "True"
    all_of_them, updated = status.get("replicas") or 0, status.get("updatedReplicas") or 0
    # One that is stuck goes on, too; with OnDelete there may be old ones and nothing goes on.
    if updated < all_of_them and (moves or degraded.get("status") == "True"):
        return f"Waiting for rollout: {updated} of {all_of_them} workers are updated"
    if not moves:
        return None
    return f"Waiting: {progressing.get('message') or progressing.get('reason')}"


def condition_rows(obj: JSON, now: datetime) -> Iterator[Sequence[Cell]]:
    """Under CONDITION_HEAD."""
    for each in _status(obj).get("conditions") or ():
        holds = each["status"]
        good = holds == ("False" if each["type"] in _BAD else "True")
        neutral = each["type"] == "Progressing"
        style = "" if neutral else "green" if good else "yellow"
        since = age(each.get("lastTransitionTime"), now)
        yield each["type"], Text(holds, style=style), since, each.get("reason", ""), each.get("message", "")


def group_row(group: JSON, now: datetime) -> Sequence[Cell]:
    """Under GROUP_HEAD."""
    status = _status(group)
    wanted = group["spec"]["worker"].get("replicas", 1)
    facts = [find_condition(status, kind) for kind in ("Degraded", "Progressing", "Ready")]
    told = next((each for each in facts if each.get("status") == "True"), facts[-1])
    return (
        group["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{wanted}",
        str(status.get("updatedReplicas", "-")),
        age(group["metadata"].get("creationTimestamp"), now),
        f"{told.get('reason', '')}: {told.get('message', '')}" if told else "-",
    )


def autoscaler_line(autoscaler: JSON) -> str:
    """Between which bounds it scales, and what it says of that."""
    bounds = autoscaling.bounds(autoscaler)
    active = find_condition(_status(autoscaler), "Active")
    return f"{bounds}: {active['message']}" if active.get("message") else bounds


def pod_rows(pods: Iterable[JSON], now: datetime) -> list[Sequence[Cell]]:
    """Under POD_HEAD: the scheduler, those that are not ready, the others; of very many not all."""

    def order(pod: JSON) -> tuple[bool, bool, str]:
        metadata = pod["metadata"]
        component = (metadata.get("labels") or {}).get(labels.COMPONENT)
        return component != labels.SCHEDULER, is_ready(pod), metadata["name"]

    all_of_them = sorted(pods, key=order)
    rows = [_pod_row(pod, now) for pod in all_of_them[:PODS_SHOWN]]
    left = len(all_of_them) - len(rows)
    return [*rows, (f"and {left} more", "", "", "", "", "")] if left else rows


def _pod_row(pod: JSON, now: datetime) -> Sequence[Cell]:
    metadata = pod["metadata"]
    all_of_them = list(containers(pod))
    trouble = next((each for each in all_of_them if each.reason and each.reason != "Completed"), None)
    if is_going(pod):
        told = _styled("Terminating")
    elif trouble is not None:
        told = Text(trouble.reason, style="yellow")
    else:
        told = _pod_phase(pod)
    return (
        metadata["name"],
        (metadata.get("labels") or {}).get(labels.COMPONENT, "-"),
        str(sum(each.restarts for each in all_of_them)),
        age(metadata.get("creationTimestamp"), now),
        pod["spec"].get("nodeName", "-"),
        told,
    )


def _pod_phase(pod: JSON) -> Text:
    status = pod.get("status") or {}
    scheduled, ready = (find_condition(status, kind) for kind in ("PodScheduled", "Ready"))
    if scheduled.get("status") == "False":
        return Text(scheduled.get("reason", "Unschedulable"), style="yellow")
    if phase(pod) == "Running":
        return _styled("Ready") if ready.get("status") == "True" else Text("not ready", style="yellow")
    return _styled(phase(pod))


def event_rows(events: Iterable[JSON], now: datetime) -> list[Sequence[Cell]]:
    """Under EVENT_HEAD, the newest last; what is said of many comes once."""
    alike: dict[tuple[str, ...], list[JSON]] = {}
    for each in sorted(events, key=_time):
        said = (each.get("type") or "", each.get("reason") or "", (each.get("message") or "").strip())
        alike[said] = alike.pop(said, [])  # the newest is the last
        alike[said].append(each)
    return [
        (age(_time(about[-1]), now), _styled(kind), reason, _subjects(about), message)
        for (kind, reason, message), about in list(alike.items())[-EVENTS_SHOWN:]
    ]


def _subjects(events: Sequence[JSON]) -> str:
    about = [f"{each['involvedObject'].get('kind')}/{each['involvedObject'].get('name')}" for each in events]
    others = len(set(about)) - 1
    return f"{about[-1]} and {others} more" if others else about[-1]


def _time(event: JSON) -> str:
    series = event.get("series") or {}
    found: str = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )
    return found


_STEPS = ((120, 1, "s"), (3 * 3600, 60, "m"), (48 * 3600, 3600, "h"))


def age(timestamp: str | None, now: datetime) -> str:
    """How long ago that was, in one unit: 90s, 5m, 36h, 12d."""
    if not timestamp:
        return "-"
    seconds = max(0, int((now - datetime.fromisoformat(timestamp).astimezone(UTC)).total_seconds()))
    for limit, unit, letter in _STEPS:
        if seconds < limit:
            return f"{seconds // unit}{letter}"
    return f"{seconds // 86400}d"


def _styled(word: str) -> Text:
    return Text(word, style=_STYLES.get(word, ""))


def _status(obj: JSON) -> JSON:
    return obj.get("status") or {}
