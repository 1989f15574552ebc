"""Report: how it is with an autoscaler. No await, no clock, no environment."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dask_k8s_autoscaler import words
from dask_k8s_autoscaler.observe import Observed
from dask_k8s_autoscaler.policy import Change, Limit
from dask_k8s_controller import Finding, Record, conditions
from dask_k8s_crds import DaskAutoscalerStatus
from dask_k8s_crds.autoscaler import AutoscaledGroupStatus
from dask_k8s_crds.conditions import merge

SCALED = frozenset({"ScaledUp", "ScaledDown", "BroughtIntoBounds"})
"""Reasons that stay what they are until the next change."""
STEADY = "the cluster has as many workers as its work needs"
FITS = "nothing keeps the cluster from having as many workers as its work needs"


@dataclass(frozen=True, slots=True)
class Report:
    """All that a status is made from; ``hindrance`` is why nothing is done, ``last`` what was."""

    observed: Observed
    hindrance: Finding | None = None
    limit: Limit | None = None
    last: Finding | None = None
    scaled: datetime | None = None

    @property
    def content(self) -> Hashable:
        """All that the status says, as a value that is compared at little cost."""
        record = self.observed.record
        sizes = tuple((group.name, group.replicas, current) for group, _, current in self.observed.ours)
        missing = self.observed.missing
        return record.version, sizes, missing, self.hindrance, self.limit, self.last, self.scaled

    def status(self, now: datetime) -> dict[str, Any]:
        """Return the status; conditions are dated ``now`` where they flip."""
        observed = self.observed
        before = _status(observed.record)
        generation = observed.autoscaler.metadata.generation
        found = conditions(generation, Active=self._active(before), Limited=self._limited())
        groups = tuple(
            AutoscaledGroupStatus(name=group.name, desired_replicas=group.replicas, current_replicas=current)
            for group, _, current in observed.ours
        )
        return DaskAutoscalerStatus(
            desired_replicas=sum(group.desired_replicas or 0 for group in groups),
            current_replicas=sum(group.current_replicas or 0 for group in groups),
            groups=groups,
            last_scale_time=self.scaled or before.last_scale_time,
            observed_generation=generation,
            conditions=merge(before.conditions, found, now=now),
        ).to_dict()

    def _active(self, before: DaskAutoscalerStatus) -> tuple[bool, Finding]:
        if self.hindrance is not None:
            return False, self.hindrance
        told = next((each for each in before.conditions if each.type == "Active"), None)
        last = self.last or (
            Finding(told.reason, told.message)
            if told is not None and told.reason in SCALED
            else Finding("Steady", STEADY)
        )
        return True, last

    def _limited(self) -> tuple[bool, Finding]:
        observed = self.observed
        if observed.missing:
            sentence = words.missing(observed.missing, observed.autoscaler.spec.cluster)
            return True, Finding("GroupNotFound", sentence)
        if self.limit is not None:
            return True, Finding(*self.limit)
        return False, Finding("WithinBounds", FITS)


def act(changes: Sequence[Change]) -> Finding | None:
    """Return what was done, as one fact."""
    if not changes:
        return None
    return Finding(changes[0].reason, "; ".join(change.message for change in changes))


def hindered(observed: Observed) -> Finding | None:
    """Return why an autoscaler has nothing to scale, before any scheduler is asked."""
    cluster, namespace = observed.autoscaler.spec.cluster, observed.record.key.namespace
    if observed.cluster is None:
        sentence = f'spec.cluster: there is no DaskCluster "{cluster}" in namespace "{namespace}"'
        return Finding("ClusterNotFound", f"{sentence}; it is scaled when there is")
    if observed.elder is not None:
        sentence = f'DaskAutoscaler "{observed.elder}" is older and scales cluster "{cluster}"'
        return Finding("AnotherAutoscaler", f"{sentence}; delete one of the two")
    return None


def _status(record: Record) -> DaskAutoscalerStatus:
    """Read the last report."""
    status: Mapping[str, Any] = record.value.get("status") or {}
    return DaskAutoscalerStatus.model_validate(status)
