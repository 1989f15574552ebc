"""The resources that pods request, as the scheduler counts them. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from dask_k8s_local.schema.quantity import parse
from dask_k8s_local.store import Object


def requested(pod: Object) -> dict[str, Decimal]:
    """Return the amount of each resource that the pod requests."""
    spec = pod["spec"]
    running = _sum(_of(container) for container in spec["containers"])
    peak: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":  # a sidecar, which runs together with the others
            running = _sum((running, _of(container)))
        else:
            peak = _most(peak, _of(container))
    return _sum((_most(running, peak), quantities(spec.get("overhead"))))


class Load:
    """The total requests of the pods on a node."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Decimal]] = {}
        self.used: dict[str, Decimal] = {}

    def add(self, pod: Object) -> None:
        """Add the requests of a pod, once."""
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            self._pods[uid] = requested(pod)
            self.used = _sum((self.used, self._pods[uid], {"pods": Decimal(1)}))

    def remove(self, pod: Object) -> bool:
        """Subtract the requests of a pod; return whether it was counted."""
        gone = self._pods.pop(pod["metadata"]["uid"], None)
        for name, amount in {**(gone or {}), "pods": Decimal(gone is not None)}.items():
            self.used[name] = self.used.get(name, Decimal(0)) - amount
        return gone is not None


def quantities(amounts: Mapping[str, Any] | None) -> dict[str, Decimal]:
    """Return a map of quantities as numbers."""
    return {name: parse(str(amount)) for name, amount in (amounts or {}).items()}


def _of(container: Object) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    return quantities({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _sum(many: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for one in many:
        for name, amount in one.items():
            total[name] = total.get(name, Decimal(0)) + amount
    return total


def _most(left: Mapping[str, Decimal], right: Mapping[str, Decimal]) -> dict[str, Decimal]:
    names = left.keys() | right.keys()
    return {name: max(left.get(name, Decimal(0)), right.get(name, Decimal(0))) for name in names}
