"""When a cluster has been idle for too long, and what to do then. Pure; the time is passed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dask_k8s_controller.dask.cluster.observe import Observed, WorkerGroup
from dask_k8s_controller.dask.findings import Finding
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.plan import Delete, Event, Patch, Plan
from dask_k8s_crds import DaskCluster, labels

RETRY_SECONDS = 10.0
"""When to ask a scheduler again that did not say whether it is idle."""
POLL_SECONDS = 60.0
"""The longest interval at which a scheduler is asked, so that ``idleSince`` is up to date."""
TOLERANCE_SECONDS = 5.0
"""Times that differ by less are equal: clocks and answers are not more exact, and a new time is a write."""


@dataclass(frozen=True, slots=True)
class IdleState:
    """Since when a cluster has been idle (None: it is not), and whether that is too long.

    ``unknown`` says why the scheduler does not say so; ``since`` is the last known time then.
    """

    since: datetime | None = None
    timed_out: bool = False
    look_again: float | None = None
    unknown: Finding | None = None


def check(cluster: DaskCluster, seconds: float | None, now: datetime, before: datetime | None) -> IdleState:
    """Compare the scheduler's idle seconds with the timeout; ``before`` is the last reported time."""
    timeout = float(cluster.spec.idle_timeout)
    if seconds is None:
        return IdleState(look_again=min(timeout, POLL_SECONDS))
    since = now - timedelta(seconds=seconds)
    if before is not None and abs((since - before).total_seconds()) < TOLERANCE_SECONDS:
        since = before
    timed_out = seconds >= timeout
    look_again = POLL_SECONDS if timed_out else min(timeout - seconds, POLL_SECONDS)
    return IdleState(since=since.replace(microsecond=0), timed_out=timed_out, look_again=look_again)


def unknown(error: AgentError, before: datetime | None) -> IdleState:
    """Return the state of a cluster whose scheduler did not answer: the last known time, and no action."""
    message = "spec.idleTimeout has no effect until the scheduler says for how long it has been idle"
    finding = Finding("IdlenessUnknown", f"{message}: {error.reason}: {error.message}")
    return IdleState(since=before, look_again=RETRY_SECONDS, unknown=finding)


def plan(cluster: DaskCluster, record: Record, observed: Observed, since: datetime) -> Plan:
    """Delete or suspend the idle cluster, or scale its worker groups to zero, as ``spec.idleAction`` says.

    Groups are scaled once per idle period, so that a user who scales up during it keeps the workers.
    """
    message = f"nothing to do for {cluster.spec.idle_timeout} s (spec.idleTimeout)"
    # With the resource version, the API server refuses these writes if somebody changed the object meanwhile.
    if cluster.spec.idle_action == "Delete":
        event = Event(record.value, "IdleTimeout", f"{message}: the cluster is deleted")
        return Plan(delete=(Delete(record.key, record.uid, record.version),), events=(event,))
    if cluster.spec.idle_action == "Suspend":
        body = {"metadata": {"resourceVersion": str(record.version)}, "spec": {"suspend": True}}
        event = Event(record.value, "IdleTimeout", f"{message}: the cluster is suspended")
        return Plan(patch=(Patch(record.key, body),), events=(event,))
    period = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    patches = tuple(
        _scale_to_zero(group, period)
        for group in observed.groups
        if group.replicas > 0 and group.annotations.get(labels.IDLE_SINCE) != period
    )
    event = Event(record.value, "IdleTimeout", f"{message}: its workers go")
    return Plan(patch=patches, events=(event,) if patches else ())


def _scale_to_zero(group: WorkerGroup, period: str) -> Patch:
    metadata = {"resourceVersion": str(group.version), "annotations": {labels.IDLE_SINCE: period}}
    return Patch(group.key, {"metadata": metadata, "spec": {"worker": {"replicas": 0}}})
