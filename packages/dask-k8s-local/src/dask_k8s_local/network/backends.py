"""Which pods stand behind a Service. Decides; opens nothing."""

from collections.abc import Mapping
from typing import Any

from dask_k8s_local.conditions import is_true
from dask_k8s_local.network.proxy import Backend
from dask_k8s_local.store import Object


class Backends:
    """A Service and the pods that it selects."""

    def __init__(self, service: Object) -> None:
        self.service = service
        self.pods: dict[str, Object] = {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return the spec as it is now."""
        spec: Mapping[str, Any] = self.service["spec"]
        return spec

    def consider(self, pod: Object, *, deleted: bool) -> bool:
        """Take in, or drop, a pod that changed; tell whether it is, or was, one of these."""
        name = pod["metadata"]["name"]
        if not deleted and self.spec.get("selector") and selects(self.spec["selector"], pod):
            self.pods[name] = pod
            return True
        return self.pods.pop(name, None) is not None

    def expected(self) -> bool:
        """Return whether a pod can be asked now or may be soon; where not, connections are refused."""
        return any(_lives(pod) for pod in self.pods.values())

    def serving(self) -> list[Object]:
        """Return the pods that may be asked."""
        unready_too = self.spec.get("publishNotReadyAddresses")
        return [
            pod for pod in self.pods.values() if pod["status"].get("podIP") and (unready_too or ready(pod))
        ]

    def names(self) -> dict[str, list[str]]:
        """Return what the Service's name, and those of its pods, resolve to."""
        name, address = self.service["metadata"]["name"], self.spec.get("clusterIP")
        if self.spec.get("type") == "ExternalName":
            return {name: [self.spec["externalName"]]}
        if address != "None":
            return {name: [address]} if address else {}
        serving = self.serving()
        found = {name: sorted(pod["status"]["podIP"] for pod in serving)}
        for pod in serving:
            if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == name:
                found[f"{pod['spec']['hostname']}.{name}"] = [pod["status"]["podIP"]]
        return found

    def of_port(self, number: int) -> list[Backend]:
        """Return where connections to a port of the Service may go."""
        port = next((port for port in self.spec.get("ports") or () if port["port"] == number), None)
        if port is None:
            return []
        target = port.get("targetPort") or number
        found = [(pod["status"]["podIP"], container_port(pod, target)) for pod in self.serving()]
        return [(address, at) for address, at in found if at is not None]


def _lives(pod: Object) -> bool:
    ended = pod["status"].get("phase") in {"Succeeded", "Failed"}
    return not ended and not pod["metadata"].get("deletionTimestamp")


def selects(selector: Mapping[str, str], pod: Object) -> bool:
    """Return whether an equality selector matches the pod's labels."""
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def ready(pod: Object) -> bool:
    """Return whether the pod takes connections."""
    return is_true(pod["status"].get("conditions"), "Ready") and not pod["metadata"].get("deletionTimestamp")


def container_port(pod: Object, target: int | str) -> int | None:
    """Return the number of a port that may be given by its name."""
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target:
                number: int = port["containerPort"]
                return number
    return int(target) if target.isdigit() else None
