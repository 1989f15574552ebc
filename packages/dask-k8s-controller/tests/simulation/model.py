"""An API server in virtual time, with kubelet and garbage collector: what the controller's requests do there.

It knows objects, versions, owners and pods' lives; what goes wrong on the way to it is in `faults`.
"""

import asyncio
import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.objects import Body, Key
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import (
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    EVENTS,
    LEASES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)

RESOURCES = {
    resource.plural: resource
    for resource in (DASK_CLUSTERS, DASK_WORKER_GROUPS, EVENTS, LEASES, PODS, SECRETS, SERVICES)
}
VIRTUAL_TIME = pytest.mark.looptime(noop_cycles=0)
"""Waits take no time. Without threads, cycles of an idle event loop change nothing before its next timer."""
_START = datetime(2026, 11, 23, tzinfo=UTC)


def now() -> datetime:
    """The time of day in the simulation."""
    return _START + timedelta(seconds=asyncio.get_running_loop().time())


class VirtualClock(Clock):
    """The time of day in the simulation, and the time of its event loop."""

    def now(self) -> datetime:
        return now()


def _timestamp(after: float = 0.0) -> str:
    return (now() + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unschedulable() -> dict[str, Any]:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    return {"phase": "Pending", "conditions": [scheduled | {"lastTransitionTime": _timestamp()}]}


def owners(body: Body) -> set[str]:
    """Uids of an object's owners."""
    return {each["uid"] for each in body["metadata"].get("ownerReferences", ())}


@dataclass
class Model:
    """All objects; ``check`` is called after every change."""

    random: Random
    check: Callable[[Key], None] = lambda _: None
    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)
    history: list[tuple[int, str, Key, dict[str, Any]]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    """Uids of pods on lost nodes."""
    full_until: float = 0.0
    """Until then, no node has room for another pod."""
    floor: int = 0
    """Watches from before this version are refused."""
    _versions: Any = field(default_factory=lambda: itertools.count(1))
    version: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def all(self, resource: Resource) -> list[dict[str, Any]]:
        return [body for key, body in self.objects.items() if key.resource == resource]

    def get(self, key: Key) -> dict[str, Any]:
        if key not in self.objects:
            raise ApiError(404, "NotFound", f"{key} not found")
        return self.objects[key]

    def create(self, key: Key, body: Body) -> dict[str, Any]:
        if key in self.objects:
            raise ApiError(409, "AlreadyExists", f"{key} already exists")
        new = copy.deepcopy(dict(body))
        new["metadata"] |= {
            "uid": f"{key.name}/{self.version}",
            "creationTimestamp": _timestamp(),
            "generation": 1,
        }
        if key.resource == PODS:
            new["status"] = {"phase": "Pending"}
            self._later(5.0, self._start, key, new["metadata"]["uid"])
        return self._write("ADDED", key, new)

    def patch(self, key: Key, change: Body, *, status: bool = False) -> dict[str, Any]:
        old = self.get(key)
        asked = change.get("metadata", {}).get("resourceVersion", old["metadata"]["resourceVersion"])
        if asked != old["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", f"{key} has been modified")
        if change.get("metadata", {}).get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            raise ApiError(409, "Conflict", f"{key} has another uid")
        if status:
            new = old | {"status": merged(old.get("status", {}), change["status"])}
        else:
            new = merged(old, {name: value for name, value in change.items() if name != "status"})
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"] = new["metadata"] | {"generation": old["metadata"]["generation"] + 1}
        return self._write("MODIFIED", key, new)

    def delete(self, key: Key, uid: str | None = None, version: int | None = None) -> None:
        """Pods get their grace period; all else is gone at once."""
        old = self.get(key)
        if uid not in (None, old["metadata"]["uid"]):
            raise ApiError(409, "Conflict", f"{key} has another uid")
        if version not in (None, int(old["metadata"]["resourceVersion"])):
            raise ApiError(409, "Conflict", f"{key} has been modified")
        if key.resource != PODS:
            self._remove(key)
        elif "deletionTimestamp" not in old["metadata"]:
            self._write(
                "MODIFIED", key, old | {"metadata": old["metadata"] | {"deletionTimestamp": _timestamp(30)}}
            )
            self._later(20.0, self._end, key, old["metadata"]["uid"])

    def fail(self, key: Key) -> None:
        """All containers of a pod end."""
        old = self.get(key)
        self._write("MODIFIED", key, old | {"status": {"phase": "Failed"}})

    def lose(self, key: Key) -> None:
        """A pod's node is lost: the pod is deleted, and stays until somebody deletes it by force."""
        old = self.objects[key]
        uid, metadata = old["metadata"]["uid"], old["metadata"] | {"deletionTimestamp": _timestamp(1)}
        conditions = [{"type": "Ready", "status": "False"}]
        status = old["status"] | {"conditions": conditions}
        self.lost.add(uid)
        self._write("MODIFIED", key, old | {"metadata": metadata, "status": status})
        self._later(90.0, self._end, key, uid, True)

    def vanish(self, key: Key) -> None:
        """An object is gone without a grace period, as after `kubectl delete --force`."""
        if key in self.objects:
            self._remove(key)

    def listing(self, resource: Resource) -> dict[str, Any]:
        items = [dict(body) for body in self.all(resource)]
        return {"metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def events(self, resource: Resource, since: int) -> Any:
        """Yield what happened after a version, for ever."""
        if since < self.floor:
            raise ApiError(410, "Expired", "too old resource version")
        place = next((at for at, event in enumerate(self.history) if event[0] > since), len(self.history))
        while True:
            while place < len(self.history):
                _, kind, key, body = self.history[place]
                place += 1
                if key.resource == resource:
                    yield {"type": kind, "object": body}
            changed = self._changed
            await changed.wait()

    def _write(self, kind: str, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        self.version = next(self._versions)
        body["metadata"] = body["metadata"] | {"resourceVersion": str(self.version)}
        if kind == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = body
            for owner in owners(body) - {body["metadata"]["uid"] for body in self.objects.values()}:
                self._later(5.0, self._collect, owner)
        self.history.append((self.version, kind, key, body))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self.check(key)
        return body

    def _remove(self, key: Key) -> None:
        body = self.objects[key]
        self._write("DELETED", key, dict(body))
        self._later(5.0, self._collect, body["metadata"]["uid"])

    def _collect(self, owner: str) -> None:
        """The garbage collector: dependents of who is gone go."""
        for key, body in list(self.objects.items()):
            if owner in owners(body):
                self.delete(key)

    def _start(self, key: Key, uid: str) -> None:
        """The kubelet: a pod runs and is ready."""
        body = self.objects.get(key)
        if body and body["metadata"]["uid"] == uid and body["status"]["phase"] == "Pending":
            if (wait := self.full_until - asyncio.get_running_loop().time()) > 0:
                self._write("MODIFIED", key, body | {"status": _unschedulable()})
                asyncio.get_running_loop().call_later(wait, self._start, key, uid)
                return
            status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            self._write("MODIFIED", key, body | {"status": status})

    def _end(self, key: Key, uid: str, by_force: bool = False) -> None:
        """The kubelet: a pod has terminated; or a user deletes one on a lost node."""
        is_it = key in self.objects and self.objects[key]["metadata"]["uid"] == uid
        if is_it and (by_force or uid not in self.lost):
            self._remove(key)

    def _later(self, at_most: float, act: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_later(self.random.uniform(0, at_most), act, *args)


def merged(old: Any, change: Any) -> Any:
    """A JSON merge patch."""
    if not isinstance(change, dict):
        return change
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in change.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(new.get(name), value)
    return new
