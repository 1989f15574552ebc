"""Filters that decide whether a pod fits on the node, with the messages of the real scheduler. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dask_k8s_local.scheduler.requests import quantities, requested
from dask_k8s_local.store import Object


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why a pod does not fit; `unresolvable` if removing other pods would not help."""

    reasons: tuple[str, ...]
    unresolvable: bool = True

    @property
    def message(self) -> str:
        """Return the message that `kubectl describe` shows for a cluster with one node."""
        why = "Preemption is not helpful for scheduling" if self.unresolvable else _NO_VICTIMS
        filtered = ", ".join(sorted(f"1 {reason}" for reason in self.reasons))
        return f"0/1 nodes are available: {filtered}. {_DEALLOCATE}0/1 nodes are available: 1 {why}."


_NO_VICTIMS = "No preemption victims found for incoming pod"
_DEALLOCATE = "no new claims to deallocate, preemption: "


def reject_reason(pod: Object, node: Object, used: Mapping[str, Decimal]) -> Rejection | None:
    """Return why the pod does not fit on the node with these resources in use, or None."""
    for check in (_unschedulable, _taints, _affinity):
        if reason := check(pod, node):
            return Rejection(reasons=(reason,))
    return _resources(pod, node, used)


def _unschedulable(pod: Object, node: Object) -> str | None:
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not _tolerates(pod, cordon):
        return "node(s) were unschedulable"
    return None


def _taints(pod: Object, node: Object) -> str | None:
    taints = [taint for taint in node["spec"].get("taints") or () if taint["effect"] != "PreferNoSchedule"]
    return None if all(_tolerates(pod, taint) for taint in taints) else "node(s) had untolerated taint(s)"


def _tolerates(pod: Object, taint: Mapping[str, Any]) -> bool:
    return any(_covers(toleration, taint) for toleration in pod["spec"].get("tolerations") or ())


def _covers(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    same_value = toleration.get("value", "") == taint.get("value", "")
    return toleration["key"] == taint["key"] and (exists or same_value)


def _affinity(pod: Object, node: Object) -> str | None:
    labels = node["metadata"].get("labels") or {}
    selector = pod["spec"].get("nodeSelector") or {}
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    matches = all(labels.get(key) == value for key, value in selector.items())
    if required and not any(_term(term, node) for term in required["nodeSelectorTerms"]):
        matches = False
    return None if matches else "node(s) didn't match Pod's node affinity/selector"


def _term(term: Mapping[str, Any], node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    expressions = [(one, labels) for one in term.get("matchExpressions") or ()]
    expressions += [(one, fields) for one in term.get("matchFields") or ()]
    return bool(expressions) and all(_expression(one, found) for one, found in expressions)


def _expression(expression: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    value, values = found.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case operator:
            try:
                difference = int(value or "") - int(values[0])
            except (ValueError, IndexError):
                return False
            return difference > 0 if operator == "Gt" else difference < 0


def _resources(pod: Object, node: Object, used: Mapping[str, Decimal]) -> Rejection | None:
    allocatable = quantities(node["status"]["allocatable"])
    zero = Decimal(0)
    reasons, unresolvable = [], False
    for name, amount in {"pods": Decimal(1), **requested(pod)}.items():
        available = allocatable.get(name, zero)
        if amount and amount + used.get(name, zero) > available:
            reasons.append("Too many pods" if name == "pods" else f"Insufficient {name}")
            unresolvable = unresolvable or amount > available
    return Rejection(reasons=tuple(reasons), unresolvable=unresolvable) if reasons else None
