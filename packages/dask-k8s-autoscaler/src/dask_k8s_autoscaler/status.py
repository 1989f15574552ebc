"""Report: how it is with an autoscaler. No await, no clock, no environment."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from dask_k8s_autoscaler import words
from dask_k8s_autoscaler.observe import Observed
from dask_k8s_autoscaler.policy import Change, Limit
from dask_k8s_controller import Record
from dask_k8s_crds import Condition, DaskAutoscalerStatus, InvalidObject
from dask_k8s_crds.autoscaler import AutoscaledGroupStatus
from dask_k8s_crds.conditions import merge

SCALED = frozenset({"ScaledUp", "ScaledDown", "BroughtIntoBounds"})
"""Reasons that stay what they are until the next change."""
STEADY = "the cluster has as many workers as its work needs"
FITS = "nothing keeps the cluster from having as many workers as its work needs"


class Finding(NamedTuple):
    """One fact: a reason in Kubernetes' CamelCase, and a sentence for the user."""

    reason: str
    message: str


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
        found = (self._active(before, generation), self._limited(generation))
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

    def _active(self, before: DaskAutoscalerStatus, generation: int | None) -> Condition:
        if self.hindrance is not None:
            return _condition("Active", self.hindrance, generation, holds=False)
        told = next((each for each in before.conditions if each.type == "Active"), None)
        last = self.last or (
            Finding(told.reason, told.message)
            if told is not None and told.reason in SCALED
            else Finding("Steady", STEADY)
        )
        return _condition("Active", last, generation)

    def _limited(self, generation: int | None) -> Condition:
        observed = self.observed
        if observed.missing:
            sentence = words.missing(observed.missing, observed.autoscaler.spec.cluster)
            return _condition("Limited", Finding("GroupNotFound", sentence), generation)
        if self.limit is not None:
            return _condition("Limited", Finding(*self.limit), generation)
        return _condition("Limited", Finding("WithinBounds", FITS), generation, holds=False)


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


def invalid(record: Record, error: InvalidObject, now: datetime) -> dict[str, Any]:
    """Keep the numbers of the last report, and say what is wrong with which field."""
    generation = record.value["metadata"].get("generation")
    before = _status(record)
    found = _condition("Active", Finding("InvalidSpec", str(error)), generation, holds=False)
    changes = {
        "observed_generation": generation,
        "conditions": merge(before.conditions, (found,), now=now),
    }
    return before.model_copy(update=changes).to_dict()


def _status(record: Record) -> DaskAutoscalerStatus:
    """Read the last report."""
    status: Mapping[str, Any] = record.value.get("status") or {}
    return DaskAutoscalerStatus.model_validate(status)


def _condition(kind: str, finding: Finding, generation: int | None, *, holds: bool = True) -> Condition:
    return Condition(
        type=kind,
        status="True" if holds else "False",
        reason=finding.reason,
        message=finding.message,
        observed_generation=generation,
    )
