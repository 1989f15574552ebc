"""The strategy of Jobs: defaults, selector and validation. Indexed Jobs are not supported."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dask_k8s_local.schema import problems
from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import pod_validation
from dask_k8s_local.strategy.base import Object, Strategy, count_generation
from dask_k8s_local.strategy.pods import default_template

UID_LABEL = "batch.kubernetes.io/controller-uid"
_UID_LABELS = ("controller-uid", UID_LABEL)
_NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
_NOT_NEGATIVE = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
)
_FIXED = ("completions", "selector", "template", "podFailurePolicy")
_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates", "affinity")
_UNSUPPORTED = ("backoffLimitPerIndex", "managedBy", "maxFailedIndexes", "successPolicy")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")


class Jobs(Strategy):
    """The strategy of Jobs."""

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the Job and set defaults that depend on other fields."""
        job, unknown = super().decode(_with_template(obj))
        spec = job["spec"]
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = 1
        for key, value in (("parallelism", 1), ("backoffLimit", 6)):
            if spec.get(key) is None:
                spec[key] = value
        replacement = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
        spec.setdefault("podReplacementPolicy", replacement)
        template = spec["template"]
        default_template(template["spec"])
        labels = (template.get("metadata") or {}).get("labels")
        if labels and not (job.get("metadata") or {}).get("labels"):
            job["metadata"] = {**(job.get("metadata") or {}), "labels": labels}
        return job, unknown

    def prepare_create(self, obj: Object) -> None:
        """Set the first generation and an empty status."""
        obj["status"] = {}
        obj["metadata"]["generation"] = 1

    def prepare_named(self, obj: Object) -> None:
        """Set the labels of the pods and the selector."""
        spec, uid, name = obj["spec"], obj["metadata"]["uid"], obj["metadata"]["name"]
        if spec.get("manualSelector"):
            return
        metadata = {**(spec["template"].get("metadata") or {})}
        made = dict.fromkeys(_NAME_LABELS, name) | dict.fromkeys(_UID_LABELS, uid)
        labels = metadata.get("labels")
        metadata["labels"] = {**made, **(labels or {})}
        # A Job without labels gets all labels of its template, as in Kubernetes.
        own = obj["metadata"].get("labels")
        if not own or own is labels:
            obj["metadata"]["labels"] = metadata["labels"]
        selector = spec.get("selector") or {}
        selected = {UID_LABEL: uid, **(selector.get("matchLabels") or {})}
        template = {**spec["template"], "metadata": metadata}
        obj["spec"] = {**spec, "selector": {**selector, "matchLabels": selected}, "template": template}

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Increase the generation if the spec has changed."""
        super().prepare_update(obj, old)
        count_generation(obj, old)

    def validate(self, obj: Object) -> Iterator[Problem]:
        """Validate the spec."""
        spec = obj["spec"]
        for key in _NOT_NEGATIVE:
            if spec.get(key) is not None and spec[key] < 0:
                yield problems.invalid(f"spec.{key}", spec[key], "must be greater than or equal to 0")
        for key in _UNSUPPORTED:
            if spec.get(key) is not None:
                yield problems.forbidden(f"spec.{key}", "dask-k8s-local does not support such Jobs")
        if spec["completionMode"] != "NonIndexed":
            yield problems.not_supported("spec.completionMode", spec["completionMode"], ["NonIndexed"])
        if policy := spec.get("podFailurePolicy"):
            yield from _policy(policy, spec["template"]["spec"])
        for problem in pod_validation.validate_spec(spec["template"]["spec"]):
            yield problem.under("spec.template")
        yield from _restarts(spec)

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Validate a changed Job; some fields are immutable."""
        spec, before = obj["spec"], old["spec"]
        yield from self.validate(obj)
        may_move = before.get("suspend") and not (old.get("status") or {}).get("startTime")
        for key in _FIXED:
            same = _same_template if key == "template" and may_move else _same
            if not same(spec.get(key), before.get(key)):
                yield problems.invalid(f"spec.{key}", spec.get(key), "field is immutable")


def _with_template(obj: Object) -> Object:
    """Return the Job with a spec, a template and the template's spec, which are never missing in Go."""
    for path in (("spec",), ("spec", "template"), ("spec", "template", "spec")):
        obj = _with_object(obj, *path)
    return obj


def _with_object(obj: Any, key: str, *rest: str) -> Any:
    if not isinstance(obj, dict):
        return obj  # decoding reports the wrong type
    value = {} if obj.get(key) is None else obj[key]
    return {**obj, key: _with_object(value, *rest) if rest else value}


def _same(new: Any, old: Any) -> bool:
    return bool(new == old)


def _same_template(new: Object, old: Object) -> bool:
    """Compare everything but scheduling fields, which queues such as Kueue set before the Job starts."""
    return _without_scheduling(new) == _without_scheduling(old)


def _without_scheduling(template: Object) -> Object:
    return {key: value for key, value in template["spec"].items() if key not in _SCHEDULING}


def _restarts(spec: Mapping[str, Any]) -> Iterator[Problem]:
    policy, path = spec["template"]["spec"]["restartPolicy"], "spec.template.spec.restartPolicy"
    if policy == "Always":
        yield problems.required(path, 'valid values: "OnFailure", "Never"')
    elif spec.get("podFailurePolicy") and policy != "Never":
        message = 'only "Never" is supported when podFailurePolicy is specified'
        yield problems.invalid(path, policy, message)


def _policy(policy: Mapping[str, Any], template: Mapping[str, Any]) -> Iterator[Problem]:
    containers = [*(template.get("containers") or ()), *(template.get("initContainers") or ())]
    names = {container.get("name") for container in containers}
    for index, rule in enumerate(policy.get("rules") or ()):
        path = f"spec.podFailurePolicy.rules[{index}]"
        if rule.get("action") == "FailIndex":
            message = "requires the backoffLimitPerIndex to be set"
            yield problems.invalid(f"{path}.action", rule["action"], message)
        elif rule.get("action") not in _ACTIONS:
            yield problems.not_supported(f"{path}.action", rule.get("action"), _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes:
            yield from _codes(codes, f"{path}.onExitCodes", names)
        for place, pattern in enumerate(conditions or ()):
            if pattern.get("status") not in _STATUSES:
                at = f"{path}.onPodConditions[{place}].status"
                yield problems.not_supported(at, pattern.get("status"), _STATUSES)
        if bool(codes) == bool(conditions):
            both = "specifying both OnExitCodes and OnPodConditions is not supported"
            none = "specifying one of OnExitCodes and OnPodConditions is required"
            yield problems.forbidden(path, both if codes else none)


def _codes(codes: Mapping[str, Any], path: str, names: set[Any]) -> Iterator[Problem]:
    if codes.get("operator") not in _OPERATORS:
        yield problems.not_supported(f"{path}.operator", codes.get("operator"), _OPERATORS)
    container = codes.get("containerName")
    if container is not None and container not in names:
        message = "must be one of the container or initContainer names in the pod template"
        yield problems.invalid(f"{path}.containerName", container, message)
    values = codes.get("values") or []
    if not values:
        yield problems.invalid(f"{path}.values", values, "at least one value is required")
    for index, value in enumerate(values):
        if value == 0 and codes.get("operator") == "In":
            yield problems.invalid(f"{path}.values[{index}]", value, "must not be 0 for the In operator")
        if value in values[:index]:
            yield problems.duplicate(f"{path}.values[{index}]", value)
    if sorted(values) != list(values):
        yield problems.invalid(f"{path}.values", values, "must be ordered")
