"""Selects the pods behind a Service. Opens no connections."""

from collections.abc import Mapping
from typing import Any

from dask_k8s_local.conditions import is_finished, is_true
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
        """Add, update or remove a pod that has changed; return whether it is or was selected."""
        name = pod["metadata"]["name"]
        if not deleted and self.spec.get("selector") and selects(self.spec["selector"], pod):
            self.pods[name] = pod
            return True
        return self.pods.pop(name, None) is not None

    def expected(self) -> bool:
        """Return whether a pod is or will be ready; otherwise, connections are refused."""
        return any(_is_running(pod) for pod in self.pods.values())

    def serving(self) -> list[Object]:
        """Return the pods that receive connections."""
        unready_too = self.spec.get("publishNotReadyAddresses")
        return [
            pod for pod in self.pods.values() if pod["status"].get("podIP") and (unready_too or ready(pod))
        ]

    def names(self) -> dict[str, list[str]]:
        """Return the DNS names of the Service and its pods, with their addresses."""
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
        """Return the backends of a port of the Service."""
        port = next((port for port in self.spec.get("ports") or () if port["port"] == number), None)
        if port is None:
            return []
        target = port.get("targetPort") or number
        found = [(pod["status"]["podIP"], container_port(pod, target)) for pod in self.serving()]
        return [(address, at) for address, at in found if at is not None]


def _is_running(pod: Object) -> bool:
    return not is_finished(pod) and not pod["metadata"].get("deletionTimestamp")


def selects(selector: Mapping[str, str], pod: Object) -> bool:
    """Return whether an equality selector matches the pod's labels."""
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def ready(pod: Object) -> bool:
    """Return whether the pod is ready and not being deleted."""
    return is_true(pod["status"].get("conditions"), "Ready") and not pod["metadata"].get("deletionTimestamp")


def container_port(pod: Object, target: int | str) -> int | None:
    """Return a port number for a number or the name of a container port."""
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target:
                number: int = port["containerPort"]
                return number
    return int(target) if target.isdigit() else None
