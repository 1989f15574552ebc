"""Rules that a schema cannot express: each in CEL for the API server, and in Python for `validation`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask_k8s_crds import names


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A rule that a value must obey.

    Attributes:
        cel: The rule as a CEL expression.
        message: The message for the user if a value breaks the rule.
        holds: The rule as a function; None if it compares with the old object, which only the API server has.
        field: Path of the invalid field, relative to the value; empty for the value itself.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None
    field: str = ""


def _unique_names(ports: Sequence[Mapping[str, Any]]) -> bool:
    names_of_ports = [port["name"] for port in ports if "name" in port]
    return len(names_of_ports) == len(set(names_of_ports))


def _in_order(bounds: Mapping[str, Any]) -> bool:
    maximum = bounds.get("maximum")
    return maximum is None or maximum >= (bounds.get("minimum") or 0)


def _other_groups(autoscaler: Mapping[str, Any]) -> bool:
    default = names.default_group(autoscaler["cluster"])
    return all(group["name"] != default for group in autoscaler.get("groups") or ())


_NEW = "has(self.status) || "
"""Restricts a rule to new objects: one with a status may have been admitted before the rule existed, and must
still accept writes, for example to its finalizers, so that it can be deleted."""

CLUSTER_NAME = ValidationRule(
    f"{_NEW}self.metadata.name.size() <= {names.CLUSTER_NAME_MAX}"
    f" && self.metadata.name.matches('{names.CLUSTER_NAME_PATTERN}')",
    names.CLUSTER_NAME_RULE,
    lambda cluster: names.is_cluster_name(cluster["metadata"]["name"]),
    ".metadata.name",
)
WORKER_GROUP_NAME = ValidationRule(
    f"{_NEW}self.metadata.name.size() <= {names.WORKER_GROUP_NAME_MAX}",
    names.WORKER_GROUP_NAME_RULE,
    lambda group: len(group["metadata"]["name"]) <= names.WORKER_GROUP_NAME_MAX,
    ".metadata.name",
)
IMMUTABLE = ValidationRule(
    "self == oldSelf", "cannot be changed: delete this object and create another one", None
)
"""For required fields only: the API server skips the rules of a field that the old or new object lacks."""
UNIQUE_NAMES = ValidationRule(
    "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
    "no two may have the same name",
    _unique_names,
)
BOUNDS = ValidationRule(
    "!has(self.maximum) || self.maximum >= self.minimum",
    "must not be less than minimum",
    _in_order,
    ".maximum",
)
OTHER_GROUPS = ValidationRule(
    f"!has(self.groups) || self.groups.all(group, group.name != self.cluster + '{names.default_group('')}')",
    "must not name the default group, whose bounds are spec.minimum and spec.maximum",
    _other_groups,
    ".groups",
)
ONE_CLUSTER = ValidationRule(
    "has(self.cluster) != has(self.clusterName)",
    "must have exactly one of cluster and clusterName",
    lambda job: (job.get("cluster") is None) != (job.get("clusterName") is None),
)
FAILURE_POLICY = ValidationRule(
    "!has(self.podFailurePolicy) || self.job.spec.restartPolicy == 'Never'",
    "needs a runner with restartPolicy Never",
    lambda job: job.get("podFailurePolicy") is None or job["job"]["spec"].get("restartPolicy") == "Never",
    ".podFailurePolicy",
)


def _never(_value: Any) -> bool:
    return False


POD_FIELD = ValidationRule(
    "false", "is a field of a pod: move it from the container to the pod's spec", _never
)
CONTAINER_FIELD = ValidationRule(
    "!true", "is a field of a container: move it from the pod's spec to a container", _never
)

_CREATE_AGAIN = "delete the DaskJob and create it again with the change"
_SUSPENDED = "has({job}.suspend) && {job}.suspend"
_NEVER_STARTED = (
    f"({_SUSPENDED.format(job='oldSelf.spec')} && !(has(oldSelf.status) && has(oldSelf.status.runnerUid)))"
)
"""The runner is created after the job is resumed, and recorded in the status before it starts."""
_FIXED_RUNNER_RULE = f"cannot be changed unless the job is suspended and has never started: {_CREATE_AGAIN}"
FIXED_RUNNER = ValidationRule(
    f"{_NEVER_STARTED} || self.spec.job == oldSelf.spec.job", _FIXED_RUNNER_RULE, None, ".spec.job"
)
FIXED_FAILURE_POLICY = ValidationRule(
    f"{_NEVER_STARTED} || (has(self.spec.podFailurePolicy) == has(oldSelf.spec.podFailurePolicy)"
    " && (!has(self.spec.podFailurePolicy) || self.spec.podFailurePolicy == oldSelf.spec.podFailurePolicy))",
    _FIXED_RUNNER_RULE,
    None,
    ".spec.podFailurePolicy",
)
FIXED_CLUSTER = ValidationRule(
    # `ONE_CLUSTER` and `FIXED_CLUSTER_NAME` keep a cluster from being added or removed.
    f"({_SUSPENDED.format(job='self')}) || ({_SUSPENDED.format(job='oldSelf')})"
    " || !has(self.cluster) || !has(oldSelf.cluster) || self.cluster == oldSelf.cluster",
    "cannot be changed unless the job is suspended: scale or edit the DaskCluster of this job instead, "
    f"or {_CREATE_AGAIN}",
    None,
    ".cluster",
)
FIXED_CLUSTER_NAME = ValidationRule(
    "has(self.clusterName) == has(oldSelf.clusterName)"
    " && (!has(self.clusterName) || self.clusterName == oldSelf.clusterName)",
    f"cannot be set, changed or removed: {_CREATE_AGAIN}",
    None,
    ".clusterName",
)

_RULES = (
    CLUSTER_NAME,
    WORKER_GROUP_NAME,
    IMMUTABLE,
    UNIQUE_NAMES,
    BOUNDS,
    OTHER_GROUPS,
    ONE_CLUSTER,
    FAILURE_POLICY,
    POD_FIELD,
    CONTAINER_FIELD,
    FIXED_RUNNER,
    FIXED_FAILURE_POLICY,
    FIXED_CLUSTER,
    FIXED_CLUSTER_NAME,
)
BY_CEL: Mapping[str, ValidationRule] = {rule.cel: rule for rule in _RULES}
"""All rules, by the CEL expression with which schemas refer to them."""


def schema(*rules: ValidationRule) -> dict[str, Any]:
    """Return the part of a structural schema that contains these rules."""
    return {"x-kubernetes-validations": [_validation(rule) for rule in rules]} if rules else {}


def _validation(rule: ValidationRule) -> dict[str, str]:
    field = {"fieldPath": rule.field} if rule.field else {}
    return {"rule": rule.cel, "message": rule.message, **field}
