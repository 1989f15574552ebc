"""A namespace with clusters in it, as a user with kubectl sees it."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dask_k8s_local.pytest_plugin import DEADLINE, NamespacedKubectl

Json = dict[str, Any]


class World(NamespacedKubectl):
    """A namespace; `world.kubectl` runs kubectl in it."""

    kubectl = NamespacedKubectl.__call__

    def scale(self, target: str, replicas: int) -> str:
        return self.kubectl("scale", target, f"--replicas={replicas}")

    def condition(self, target: str, kind: str, reason: str) -> Json:
        """Wait for a condition that has this reason."""
        found = self.wait(target, f'jsonpath={{.status.conditions[?(@.type=="{kind}")].reason}}={reason}')
        return next(each for each in found["status"]["conditions"] if each["type"] == kind)

    def workers(self, group: str, count: int, *, ready: bool = True) -> set[str]:
        """Wait until a group has exactly so many workers, none of them on its way out; their names."""

        def complete(pods: list[Json]) -> bool:
            return len(pods) == count and all(not going(pod) and (is_ready(pod) or not ready) for pod in pods)

        return names(self.until("pods", complete, f"dask.org/workergroup-name={group}"))

    def ever(self, resource: str, count: int) -> set[str]:
        """Wait until there are exactly so many; the names of all that were there meanwhile."""
        seen = set()

        def complete(items: list[Json]) -> bool:
            seen.update(names(items))
            return len(items) == count

        self.until(resource, complete)
        return seen

    def until_quiet(self, *resources: str, seconds: int) -> None:
        """Wait until for a while none of their objects is made, changed or deleted."""
        deadline = time.monotonic() + DEADLINE
        while not self.is_quiet(*resources, seconds=seconds):
            assert time.monotonic() < deadline, f"{resources} never come to rest"

    def is_quiet(self, *resources: str, seconds: int = 1) -> bool:
        """Whether for a while none of their objects is made, changed or deleted."""
        with ThreadPoolExecutor() as pool:
            return all(pool.map(lambda resource: self._quiet(resource, seconds), resources))

    def _quiet(self, resource: str, seconds: int) -> bool:
        path = f"{self.path(resource)}?"
        events = self.watch(path, self.raw(path)["metadata"]["resourceVersion"], seconds)
        return all(event["type"] == "BOOKMARK" for event in events)


def names(items: list[Json]) -> set[str]:
    return {item["metadata"]["name"] for item in items}


def uids(items: list[Json]) -> set[str]:
    return {item["metadata"]["uid"] for item in items}


def going(item: Json) -> bool:
    return "deletionTimestamp" in item["metadata"]


def is_ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
