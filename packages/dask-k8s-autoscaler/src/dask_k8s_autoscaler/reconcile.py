"""Reconcile a DaskAutoscaler: observe, poll the scheduler if it is time, decide, apply, report."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter

from dask_k8s_autoscaler import policy
from dask_k8s_autoscaler.history import History
from dask_k8s_autoscaler.model import Work
from dask_k8s_autoscaler.observe import Observed, ParseCache, observe, observe_again, work_of
from dask_k8s_autoscaler.policy import Change, Decision
from dask_k8s_autoscaler.state import State
from dask_k8s_autoscaler.status import Report, inactive_reason
from dask_k8s_controller import After, AgentError, Finding, Key, Outcome, Patch, Plan, World, invalid_status
from dask_k8s_crds import InvalidObject
from dask_k8s_crds.metadata import ObjectMeta, owner_reference
from dask_k8s_crds.resources import DASK_CLUSTERS

CONFLICT_SECONDS = 0.5
"""How long after a conflicting write of somebody else to decide again."""
MAX_PAIRS_IN_LOOP = 1000
"""Pairs of requirements and of pods that can meet them, of which a decision takes a few milliseconds."""
REASONS = ("Steady", "ScaledUp", "ScaledDown", "BroughtIntoBounds")
DECISIONS = Counter(
    "dask_k8s_autoscaler_decisions", "Decisions, one for each group that changes.", ["reason"]
)
NO_SCHEDULER = Finding("NoScheduler", "no scheduler of the cluster runs")

for reason in REASONS:
    DECISIONS.labels(reason)  # a counter that starts at 0 shows the first decision as an increase


@dataclass(slots=True)
class Autoscaling:
    """The states of all autoscalers; `reconcile` is the reconciler of the plugin.

    States are lost when the controller restarts. No worker is removed then before a whole window has passed.
    """

    _states: dict[Key, State] = field(default_factory=dict)

    async def reconcile(self, key: Key, world: World) -> After | None:
        """Scale a cluster to its work; the scheduler is polled at most once per `intervalSeconds`."""
        record = world.get(key)
        if record is None or record.deleting:
            self._states.pop(key, None)
            return None
        state = self._states.get(key)
        cache = state.parse_cache if state is not None and state.uid == record.uid else ParseCache()
        try:
            observed = observe(record, world, cache)
        except InvalidObject as error:
            return await world.report(record, invalid_status(record, error, world.now(), Active=False))
        if inactive := inactive_reason(observed):
            self._states.pop(key, None)
            return await world.report(record, Report(observed, inactive).status(world.now()))
        if state is None or state.parse_cache is not cache:
            state = self._states[key] = State.start(observed, cache, world.now())
        if observed.cluster is not None:
            state.end_back_off(observed.cluster.version, observed.settings.interval)
        changes = policy.within_bounds(observed.groups)
        if not changes and not state.seconds_to_poll(_now(world)):
            await _poll(observed, state, world)
            # Observe again, since anything may have changed during the poll.
            return await self.reconcile(key, world)
        return await _scale(observed, state, changes, world)


async def _scale(observed: Observed, state: State, changes: Sequence[Change], world: World) -> After | None:
    """Decide, unless there are changes for the sake of bounds, then apply and report."""
    if not changes and state.work is not None:
        decision = await _decide(observed, state.work, state.history, _now(world))
        state.history, state.limit, changes = decision.history, decision.limit, decision.changes
        if not changes:
            DECISIONS.labels("Steady").inc()
    for change in changes:
        DECISIONS.labels(change.reason).inc()
    outcome = Outcome()
    if changes or observed.record.owner is None:
        outcome = await _adopt(observed, world) + await _apply(observed, changes, world)
        changed = observe_again(observed, world, state.parse_cache)
        if changed is None:
            return None
        observed = changed
    applied = state.applied(changes, observed.groups, world.now())
    later = await _report(observed, state, outcome, world)
    outcome.raise_errors()
    poll = After(state.seconds_to_poll(_now(world)))
    return After.soonest(poll, None if applied else After(CONFLICT_SECONDS), later)


async def _decide(observed: Observed, work: Work, history: History, now: float) -> Decision:
    """Decide; in a thread if there is much to compute, so that the event loop goes on meanwhile.

    Groups that change meanwhile are not patched, since the patches have their resource versions.
    """
    groups = observed.groups
    kinds = len(work.pools) + len(work.waiting)
    if kinds * (len(groups) + len(work.pools)) <= MAX_PAIRS_IN_LOOP:
        return policy.decide(groups, work, observed.settings, history, now)
    return await asyncio.to_thread(policy.decide, groups, work, observed.settings, history, now)


async def _poll(observed: Observed, state: State, world: World) -> None:
    """Ask the scheduler for its work."""
    interval = observed.settings.interval
    agent = world.agent(observed.cluster) if observed.cluster is not None else None
    if agent is None:
        state.poll_failed(NO_SCHEDULER, interval, _now(world), back_off=False)
        return
    try:
        demand = await agent.demand()
    except AgentError as error:
        state.poll_failed(Finding(error.reason, error.message), interval, _now(world), back_off=True)
    else:
        state.poll_succeeded(work_of(demand), interval, _now(world))


async def _adopt(observed: Observed, world: World) -> Outcome:
    """Make the cluster the owner of an autoscaler without one, so that it is deleted with the cluster."""
    record, cluster = observed.record, observed.cluster
    if record.owner is not None or cluster is None:
        return Outcome()
    owner = owner_reference(DASK_CLUSTERS, ObjectMeta.model_validate(cluster.value["metadata"]))
    owners = record.value["metadata"].get("ownerReferences") or ()
    metadata = {"resourceVersion": str(record.version), "ownerReferences": [*owners, owner]}
    patch = Patch(record.key, {"metadata": metadata}, needs_owner=True)
    return await world.apply(cluster.key, cluster.uid, Plan(patch=(patch,)))


async def _apply(observed: Observed, changes: Sequence[Change], world: World) -> Outcome:
    """Change the sizes of groups, except of those that somebody else has changed meanwhile.

    Nothing is changed after a user has deleted the autoscaler (`needs_owner`), as `KubeCluster.scale` does.
    """
    records = {each.group.name: each.record for each in observed.scaled}
    patches = []
    for change in changes:
        group, spec = records[change.group], {"worker": {"replicas": change.after}}
        body = {"metadata": {"resourceVersion": str(group.version)}, "spec": spec}
        patches.append(Patch(group.key, body, needs_owner=True))
    return await world.apply(observed.record.key, observed.record.uid, Plan(patch=tuple(patches)))


async def _report(observed: Observed, state: State, outcome: Outcome, world: World) -> After | None:
    """Write the status unless nothing in it has changed."""
    refused = next((Finding("Refused", str(error)) for error in outcome.errors), None)
    inactive = refused or state.poll_error
    report = Report(observed, inactive, state.limit, state.last_change, state.last_scale_time)
    nothing_yet = not (inactive or state.history.groups or state.last_change)
    if nothing_yet or state.reported == report.content:
        return None
    later = await world.report(observed.record, report.status(world.now()))
    if later is None:
        state.reported = report.content
    return later


def _now(world: World) -> float:
    return world.now().timestamp()
