"""The strategy of pods: computed defaults, quality of service, and allowed updates."""

from collections.abc import Iterable, Mapping
from typing import Any

from dask_k8s_local.schema.problems import Problem
from dask_k8s_local.strategy import pod_validation
from dask_k8s_local.strategy.base import Object, Strategy, count_generation

_TOLERATED_SECONDS = 300
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class Pods(Strategy):
    """The strategy of Pods."""

    returns_deleted = True

    def decode(self, obj: Object) -> tuple[Object, list[str]]:
        """Decode the pod and set defaults that depend on other fields."""
        pod, unknown = super().decode({**obj, "spec": {} if obj.get("spec") is None else obj["spec"]})
        spec = pod["spec"]
        spec.setdefault("enableServiceLinks", True)
        default_template(spec)
        for container in _containers(spec):
            _request_limits(container)
        return pod, unknown

    def prepare_create(self, obj: Object) -> None:
        """Set the status, and the defaults of admission plugins."""
        spec = obj["spec"]
        obj["metadata"]["generation"] = 1
        obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        spec.setdefault("priority", 0)
        spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
        _tolerate(spec)

    def prepare_update(self, obj: Object, old: Object) -> None:
        """Increase the generation if the spec has changed."""
        super().prepare_update(obj, old)
        _tolerate(obj["spec"])
        count_generation(obj, old)

    def prepare_status(self, obj: Object, old: Object) -> None:
        """Add `podIPs` to a status with a `podIP`."""
        super().prepare_status(obj, old)
        status = obj.get("status") or {}
        if status.get("podIP") and not status.get("podIPs"):
            obj["status"] = {**status, "podIPs": [{"ip": status["podIP"]}]}

    def validate(self, obj: Object) -> Iterable[Problem]:
        """Validate the spec."""
        return pod_validation.validate_spec(obj["spec"])

    def validate_update(self, obj: Object, old: Object) -> Iterable[Problem]:
        """Validate a changed spec and the change."""
        if obj["spec"] == old["spec"]:
            return []
        found = list(pod_validation.validate_spec(obj["spec"]))
        return found or pod_validation.validate_update(obj["spec"], old["spec"])


def quality_of_service(spec: Mapping[str, Any]) -> str:
    """Return the quality of service class."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(item.get("limits") or item.get("requests") for item in resources):
        return "BestEffort"
    for item in resources:
        limits, requests = item.get("limits") or {}, item.get("requests") or {}
        if not {"cpu", "memory"} <= limits.keys():
            return "Burstable"
        if any(requests.get(name) not in (None, limits[name]) for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def default_template(spec: Object) -> None:
    """Set defaults that pods and pod templates share."""
    for volume in spec.get("volumes") or ():
        if len(volume) == 1:
            volume["emptyDir"] = {}
    for container in _containers(spec):
        if not container.get("imagePullPolicy"):
            latest = _tag(container.get("image", "")) == "latest"
            container["imagePullPolicy"] = "Always" if latest else "IfNotPresent"


def _containers(spec: Object) -> list[Object]:
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def _request_limits(container: Object) -> None:
    limits = (container.get("resources") or {}).get("limits")
    if limits:
        container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}


def _tag(image: str) -> str:
    """Return the tag of an image; without tag and digest, it is `latest`."""
    name, _, digest = image.partition("@")
    if digest:
        return ""
    last = name.rpartition("/")[2]
    return last.partition(":")[2] or "latest"


def _tolerate(spec: Object) -> None:
    """Add the default tolerations for nodes that are not ready."""
    tolerations = [*(spec.get("tolerations") or ())]
    known = {item.get("key", "") for item in tolerations if item.get("effect", "NoExecute") == "NoExecute"}
    if "" not in known:
        tolerations += [
            {
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": _TOLERATED_SECONDS,
            }
            for key in _TOLERATED
            if key not in known
        ]
    spec["tolerations"] = tolerations
