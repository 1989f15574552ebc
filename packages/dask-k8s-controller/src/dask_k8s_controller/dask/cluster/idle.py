"""When a cluster has had nothing to do for too long, and what then. Pure; the time is passed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dask_k8s_controller.dask.cluster.observe import Observed
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.plan import Delete, Event, Patch, Plan
from dask_k8s_crds import DaskCluster, labels

LOOK_SECONDS = 60.0
"""A scheduler is asked at least so often, for the sake of ``idleSince``."""
SAME_SECONDS = 5.0
"""Two times that are so near are the same: clocks and answers are not more exact, and a status is a write."""


@dataclass(frozen=True, slots=True)
class Idleness:
    """``since`` when there has been nothing to do, None while there is; ``over``: for too long."""

    since: datetime | None = None
    over: bool = False
    look_again: float | None = None


def judge(cluster: DaskCluster, seconds: float | None, now: datetime, before: datetime | None) -> Idleness:
    """Compare the seconds of idleness with the cluster's time-out; ``before`` is what was reported last."""
    timeout = float(cluster.spec.idle_timeout)
    if seconds is None:
        return Idleness(look_again=min(timeout, LOOK_SECONDS))
    since = now - timedelta(seconds=seconds)
    if before is not None and abs((since - before).total_seconds()) < SAME_SECONDS:
        since = before
    over = seconds >= timeout
    rest = LOOK_SECONDS if over else min(timeout - seconds, LOOK_SECONDS)
    return Idleness(since=since.replace(microsecond=0), over=over, look_again=rest)


def plan(cluster: DaskCluster, record: Record, observed: Observed, since: datetime) -> Plan:
    """Do what the cluster wants to happen to it when it is not used: it goes, rests, or its workers go.

    Workers go once in each time of idleness: whoever scales up again during the same one has a reason.
    """
    message = f"nothing to do for {cluster.spec.idle_timeout} s (spec.idleTimeout)"
    # With the version, the server refuses these where somebody changed the cluster meanwhile.
    if cluster.spec.idle_action == "Delete":
        tell = Event(record.value, "IdleTimeout", f"{message}: the cluster is deleted")
        return Plan(delete=(Delete(record.key, record.uid, record.version),), events=(tell,))
    if cluster.spec.idle_action == "Suspend":
        body = {"metadata": {"resourceVersion": str(record.version)}, "spec": {"suspend": True}}
        tell = Event(record.value, "IdleTimeout", f"{message}: the cluster is suspended")
        return Plan(patch=(Patch(record.key, body),), events=(tell,))
    period = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    patches = tuple(
        _to_zero(group, period)
        for group in observed.groups
        if _replicas(group) > 0 and _annotation(group) != period
    )
    tell = Event(record.value, "IdleTimeout", f"{message}: its workers go")
    return Plan(patch=patches, events=(tell,) if patches else ())


def _to_zero(group: Record, period: str) -> Patch:
    # With the version, the server refuses this where somebody changed the group meanwhile.
    metadata = {"resourceVersion": str(group.version), "annotations": {labels.IDLE_SINCE: period}}
    return Patch(group.key, {"metadata": metadata, "spec": {"worker": {"replicas": 0}}})


def _annotation(group: Record) -> str | None:
    found: str | None = (group.value["metadata"].get("annotations") or {}).get(labels.IDLE_SINCE)
    return found


def _replicas(group: Record) -> int:
    replicas: int = ((group.value.get("spec") or {}).get("worker") or {}).get("replicas", 1)
    return replicas
