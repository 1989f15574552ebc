"""Status: sizes and conditions of an autoscaler. Pure; the time is passed in."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dask_k8s_autoscaler import messages
from dask_k8s_autoscaler.observe import Observed
from dask_k8s_controller import Finding, conditions, without_effect
from dask_k8s_crds import DaskAutoscalerStatus
from dask_k8s_crds.autoscaler import AutoscaledGroupStatus
from dask_k8s_crds.conditions import dated, find

SCALED = frozenset({"ScaledUp", "ScaledDown", "BroughtIntoBounds"})
"""Reasons of `Active` that remain until the next change."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the status contains; `inactive` is why the autoscaler does nothing."""

    observed: Observed
    inactive: Finding | None = None
    limit: Finding | None = None
    last_change: Finding | None = None
    last_scale_time: datetime | None = None

    @property
    def content(self) -> Hashable:
        """The content of the status as a value that is cheap to compare."""
        observed = self.observed
        sizes = tuple(
            (group.name, group.replicas, current, group.usable) for group, _, current in observed.scaled
        )
        found = (self.inactive, self.limit, self.last_change, self.last_scale_time)
        return observed.record.version, sizes, observed.missing, found

    def status(self, now: datetime) -> dict[str, Any]:
        """Return the status; `now` is the transition time of conditions that change."""
        observed = self.observed
        before = DaskAutoscalerStatus.of(observed.record.value)
        generation = observed.autoscaler.metadata.generation
        found = conditions(generation, Active=self._active(before), Limited=self._limited())
        found += without_effect(observed.autoscaler, before.conditions)
        groups = tuple(
            AutoscaledGroupStatus(
                name=group.name,
                desired_replicas=group.replicas,
                current_replicas=current,
                stuck_replicas=group.stuck.pods if group.stuck else None,
            )
            for group, _, current in observed.scaled
        )
        return DaskAutoscalerStatus(
            desired_replicas=sum(group.replicas for group, _, _ in observed.scaled),
            current_replicas=sum(current for _, _, current in observed.scaled),
            groups=groups,
            last_scale_time=self.last_scale_time or before.last_scale_time,
            observed_generation=generation,
            conditions=dated(before.conditions, found, now=now),
        ).to_dict()

    def _active(self, before: DaskAutoscalerStatus) -> tuple[bool, Finding]:
        if self.inactive is not None:
            return False, self.inactive
        if self.last_change is not None:
            return True, self.last_change
        active = find(before.conditions, "Active")
        if active is not None and active.reason in SCALED:
            return True, Finding(active.reason, active.message)
        return True, Finding("Steady", messages.STEADY)

    def _limited(self) -> tuple[bool, Finding]:
        missing, cluster = self.observed.missing, self.observed.autoscaler.spec.cluster
        if missing:
            return True, Finding("GroupNotFound", messages.group_not_found(missing, cluster))
        return self.limit is not None, self.limit or Finding("WithinBounds", messages.WITHIN_BOUNDS)


def inactive_reason(observed: Observed) -> Finding | None:
    """Return why an autoscaler has nothing to scale, whatever its scheduler would answer."""
    cluster = observed.autoscaler.spec.cluster
    if observed.cluster is None:
        return Finding("ClusterNotFound", messages.cluster_not_found(cluster, observed.record.key.namespace))
    if (other := observed.older_autoscaler) is not None:
        return Finding("AnotherAutoscaler", messages.another_autoscaler(other, cluster))
    return None
