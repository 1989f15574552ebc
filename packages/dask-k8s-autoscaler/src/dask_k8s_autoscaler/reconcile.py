"""One turn of a DaskAutoscaler: observe, ask the scheduler if it is time, decide, apply, report."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter

from dask_k8s_autoscaler import policy, status
from dask_k8s_autoscaler.memory import Memory
from dask_k8s_autoscaler.observe import Known, Observed, again, observe, work
from dask_k8s_autoscaler.policy import Change
from dask_k8s_autoscaler.status import Report
from dask_k8s_controller import (
    After,
    AgentError,
    Finding,
    Key,
    Outcome,
    Patch,
    Plan,
    Record,
    World,
    invalid_status,
)
from dask_k8s_crds import InvalidObject, resources
from dask_k8s_crds.metadata import ObjectMeta, owner_reference

AGAIN_SECONDS = 0.5
"""A change that somebody else's was in the way of is decided anew after so long."""
STEADY = "Steady"
REASONS = (STEADY, "ScaledUp", "ScaledDown", "BroughtIntoBounds")
DECISIONS = Counter(
    "dask_k8s_autoscaler_decisions", "Decisions, one for each group that changes.", ["reason"]
)
NO_SCHEDULER = Finding("NoScheduler", "no scheduler of the cluster runs")

for each in REASONS:
    DECISIONS.labels(each)  # 0 until there is one: else the first would be no increase


@dataclass(slots=True)
class Autoscaling:
    """All autoscalers, and what is remembered of each; its `reconcile` is the plugin's.

    To forget, as when the controller restarts, costs time and no worker: none goes before a whole window was
    seen.
    """

    _memories: dict[Key, Memory] = field(default_factory=dict)

    async def reconcile(self, key: Key, world: World) -> After | None:
        """Bring the size of a cluster in line with its work.

        It may be rung as often as it likes: the scheduler is asked once per ``intervalSeconds``.
        """
        record = world.get(key)
        if record is None or record.deleting:
            self._memories.pop(key, None)
            return None
        memory = self._memories.get(key)
        known = memory.known if memory is not None and memory.uid == record.uid else Known()
        try:
            observed = observe(record, world, known)
        except InvalidObject as error:
            return await world.report(key, invalid_status(record, error, world.now(), Active=False))
        if hindrance := status.hindered(observed):
            self._memories.pop(key, None)
            return await world.report(key, Report(observed, hindrance).status(world.now()))
        if memory is None or memory.known is not known:
            memory = self._memories[key] = _begin(observed, known, world)
        if observed.cluster is not None:
            memory.noticed(observed.cluster.version, observed.rules.interval)
        changes = policy.within_bounds(observed.groups)
        if not changes and not memory.due(_now(world)):
            await _ask(observed, memory, world)
            # With fresh eyes: the world may be another one by now.
            return await self.reconcile(key, world)
        return await _turn(observed, memory, changes, world)


async def _turn(observed: Observed, memory: Memory, changes: Sequence[Change], world: World) -> After | None:
    """Decide, unless the bounds have, then apply and report."""
    if not changes and memory.work is not None:
        decision = policy.decide(observed.groups, memory.work, observed.rules, memory.history, _now(world))
        memory.decided(decision)
        changes = decision.changes
        if not changes:
            DECISIONS.labels(STEADY).inc()
    for change in changes:
        DECISIONS.labels(change.reason).inc()
    outcome, soon = Outcome(), None
    if changes or observed.record.owner is None:
        outcome = await _adopt(observed, world) + await _apply(observed, changes, world)
        if (changed := again(observed, world, memory.known)) is None:
            return None
        observed = changed
    if memory.done(changes, observed.groups, world.now()):
        memory.work = None
    else:
        soon = After(AGAIN_SECONDS)
    later = await _report(observed, memory, outcome, world)
    outcome.raise_errors()
    return After.soonest(After(memory.due(_now(world))), soon, later)


async def _ask(observed: Observed, memory: Memory, world: World) -> None:
    """Ask the scheduler what there is to do."""
    interval = observed.rules.interval
    agent = world.agent(observed.cluster) if observed.cluster is not None else None
    if agent is None:
        memory.unheard(NO_SCHEDULER, interval, _now(world), failed=False)
        return
    try:
        demand = await agent.demand()
    except AgentError as error:
        memory.unheard(Finding(error.reason, error.message), interval, _now(world), failed=True)
    else:
        memory.heard(work(demand), interval, _now(world))


async def _adopt(observed: Observed, world: World) -> Outcome:
    """Make the cluster the owner of an autoscaler that has none, so that it goes with the cluster."""
    record, cluster = observed.record, observed.cluster
    if record.owner is not None or cluster is None:
        return Outcome()
    owner = owner_reference(resources.DASK_CLUSTERS, ObjectMeta.model_validate(cluster.value["metadata"]))
    owners = record.value["metadata"].get("ownerReferences") or ()
    metadata = {"resourceVersion": str(record.version), "ownerReferences": [*owners, owner]}
    patch = Patch(record.key, {"metadata": metadata}, needs_owner=True)
    return await world.apply(cluster.key, cluster.uid, Plan(patch=(patch,)))


async def _apply(observed: Observed, changes: Sequence[Change], world: World) -> Outcome:
    """Change the sizes; with the version, the server refuses what somebody has changed meanwhile."""
    records = {counted.group.name: counted.record for counted in observed.ours}
    patches = tuple(_resize(records[change.group], change.after) for change in changes)
    return await world.apply(observed.record.key, observed.record.uid, Plan(patch=patches))


def _resize(group: Record, replicas: int) -> Patch:
    version = {"resourceVersion": str(group.version)}
    # Whoever deletes an autoscaler, as `KubeCluster.scale` does, has the last word.
    return Patch(
        group.key, {"metadata": version, "spec": {"worker": {"replicas": replicas}}}, needs_owner=True
    )


async def _report(observed: Observed, memory: Memory, outcome: Outcome, world: World) -> After | None:
    """Write the status, unless it would be the one that was written last."""
    refused = next((Finding("Refused", str(error)) for error in outcome.errors), None)
    report = Report(observed, refused or memory.silence, memory.limit, memory.last, memory.scaled)
    if memory.reported == report.content or (memory.fresh and refused is None):
        return None
    later = await world.report(observed.record.key, report.status(world.now()))
    if later is None:
        memory.reported = report.content
    return later


def _begin(observed: Observed, known: Known, world: World) -> Memory:
    autoscaler, now = observed.autoscaler, world.now()
    created = autoscaler.metadata.creation_timestamp or now
    age = (now - created).total_seconds()
    memory = Memory.of(observed.record.uid, age, observed.rules.interval, now.timestamp())
    memory.known = known
    return memory


def _now(world: World) -> float:
    return world.now().timestamp()
