"""A world in memory for unit tests of reconciles. No I/O, no pytest."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from dask_k8s_controller.dask.plugin import PLUGIN
from dask_k8s_controller.dask.scheduler.answers import Demand, Retired
from dask_k8s_controller.runtime.cache import Cache, Record
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Body, Key, key_of
from dask_k8s_controller.runtime.plan import Action, Create, Delete, Event, Patch, Plan
from dask_k8s_controller.runtime.plugin import Plugin
from dask_k8s_controller.runtime.refusals import Refusals
from dask_k8s_controller.runtime.results import After, Outcome
from dask_k8s_controller.runtime.status_patch import status_patch
from dask_k8s_controller.testing.objects import NOW
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

# ruff: noqa: D102  # methods of `Agent` and `World` are documented there


class FakeAgent:
    """An `Agent` with set answers, by default those of a scheduler that has nothing to do.

    ``answers`` has one per method: an exception is raised, a function is called with the arguments.
    ``requests`` has the names of the methods that were called.
    """

    def __init__(self, **answers: Any) -> None:
        self.requests: list[str] = []
        self.answers = {
            "demand": Demand(target_duration=5.0, idle_seconds=None, loads=(), waiting=()),
            "idle": None,
            "known": frozenset,
            "left": {},
            "retire": lambda pods, count, _successors: Retired(gone=frozenset(sorted(pods)[:count])),
        } | answers

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def request(*arguments: Any) -> Any:
            self.requests.append(method)
            answer = self.answers[method]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return request


class FakeWorld:
    """A `World` with an API server in memory.

    Manifests go through the trims and indexes of the built-in plugin and of ``plugins`` into the cache. Plans
    are carried out at once. What a deleted object owns is deleted, too.

    Attributes:
        time: The time; `advance` moves it.
        scheduler: The agent in the schedulers of all clusters; None if no scheduler runs.
        objects: The manifests on the API server, by key.
        refuse: Returns the error with which the API server refuses an action, or None. An error that may
            pass, such as one of status 500, counts as a refusal once it has lasted; `advance` the time.
        lagging: While true, the cache shows no changes: what is created is `expected`. `relist` ends it.
        plans: The plans that were applied, empty ones too.
        statuses: The statuses that were reported.
        events: The Events that were emitted.
        writes: The writes that succeeded, for example ``create Pod ns/p``; ``report`` is that of a status.
    """

    def __init__(self, *manifests: Body, plugins: Iterable[Plugin] = (), scheduler: Any = None) -> None:
        watches = {watched.resource: watched for plugin in (PLUGIN, *plugins) for watched in plugin.watches}
        self._cache = Cache(watches, lambda _: None)
        self._created: dict[Key, str] = {}
        self._refusals = Refusals(Expectations())
        self._versions = count(1)
        self.cluster_domain = "cluster.local"
        self.time = self._started = NOW
        self.scheduler = scheduler
        self.objects: dict[Key, dict[str, Any]] = {}
        self.refuse: Callable[[Action], ApiError | None] = lambda _: None
        self.lagging = False
        self.plans: list[Plan] = []
        self.statuses: list[Mapping[str, Any]] = []
        self.events: list[Event] = []
        self.writes: list[str] = []
        self.get, self.find, self.owned = self._cache.get, self._cache.find, self._cache.owned
        self.add(*manifests)

    def add(self, *manifests: Body) -> None:
        """Create or replace objects, as another client of the API server."""
        resources = {(each.api_version, each.kind): each for each in self._cache.watches}
        for body in manifests:
            self._store(resources[body["apiVersion"], body["kind"]], body)

    def patch(self, key: Key, change: Body) -> None:
        """Apply a JSON merge patch to an object, as another client of the API server."""
        old = self.objects[key]
        new = _merge(old, change)
        if new.get("spec") != old.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": old["metadata"]["generation"] + 1}
        self._store(key.resource, new)

    def remove(self, key: Key, *, dependents: bool = True) -> None:
        """Delete an object and what it owns, as another client of the API server."""
        uid = self.objects.pop(key)["metadata"]["uid"]
        for other, body in list(self.objects.items()) if dependents else ():
            owners = body["metadata"].get("ownerReferences", ())
            if other.namespace == key.namespace and any(owner["uid"] == uid for owner in owners):
                self.remove(other)
        known = self.get(key)
        if known is not None and self._is_shown(key.resource):
            self._cache.remove(known)

    def relist(self) -> None:
        """End `lagging`: show the cache all changes."""
        self.lagging = False
        for resource in self._cache.watches:
            self._show(resource)

    def restart(self) -> None:
        """Forget what was created, as a controller that has just started; the cache may still be lagging."""
        self._created.clear()
        self._started = self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.time

    def agent_token(self, cluster: Record) -> str:  # noqa: ARG002
        return "token"

    def key_since(self) -> datetime:
        return self._started

    def agent(self, cluster: Record) -> Any:  # noqa: ARG002
        return self.scheduler

    def expected(self, owner: Record, resource: Resource) -> frozenset[str]:
        unseen = (key for key, uid in self._created.items() if uid == owner.uid and self.get(key) is None)
        return frozenset(key.name for key in unseen if key.resource == resource and key in self.objects)

    def doubted(self, owner: Record, resource: Resource) -> list[str]:  # noqa: ARG002  # every write is answered
        return []

    async def exists(self, key: Key, uid: str, version: int | None = None) -> bool:
        if not self._is(key, {"uid": uid, "resourceVersion": version}):
            return False
        return "deletionTimestamp" not in self.objects[key]["metadata"]

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:
        self.plans.append(plan)
        errors = []
        for action in plan:
            if (error := self.refuse(action)) is not None:
                errors.append(self._refusals.failed(key, action, error, now=self._seconds()))
                continue
            self._refusals.succeeded(key, action)
            if self._write(uid, action):
                self.writes.append(str(action))
        return Outcome(tuple(errors))

    async def report(self, record: Record, status: Mapping[str, Any]) -> After | None:
        self.statuses.append(status)
        key, current = record.key, self.get(record.key)
        if current is None or current.uid != record.uid or not status_patch(current.value, status):
            return None
        if not self._is(key, {"uid": current.uid, "resourceVersion": current.version}):
            return After(1.0)
        self.writes.append(f"report {key}")
        body = self.objects[key]
        self._store(key.resource, _merge(body, {"status": status_patch(body, status)}))
        return None

    def _seconds(self) -> float:
        return (self.time - NOW).total_seconds()

    def _write(self, owner: str, action: Action) -> bool:
        """Carry out an action, if its preconditions hold; return whether they do."""
        match action:
            case Event():
                self.events.append(action)
            case Create(resource) if action.key not in self.objects:
                self._created[action.key] = owner
                self._store(resource, action.body)
            case Patch(key, body) if self._is(key, body.get("metadata", {})):
                self.patch(key, body)
            case Delete(key, uid, version) if self._is(key, {"uid": uid, "resourceVersion": version}):
                self.remove(key)
            case _:
                return False
        return True

    def _is(self, key: Key, preconditions: Body) -> bool:
        required = {name: preconditions.get(name) for name in ("uid", "resourceVersion")}
        metadata = self.objects[key]["metadata"] if key in self.objects else {}
        equal = (value is None or str(value) == metadata[name] for name, value in required.items())
        return bool(metadata) and all(equal)

    def _store(self, resource: Resource, body: Body) -> None:
        version, created = str(next(self._versions)), self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        filled = {"namespace": "default", "uid": f"uid-{version}", "creationTimestamp": created}
        metadata = {"generation": 1, **filled, **body["metadata"], "resourceVersion": version}
        stored = {**body, "metadata": metadata}
        self.objects[key_of(resource, stored)] = stored
        if self._is_shown(resource):
            self._cache.set(self._cache.record(resource, stored))

    def _is_shown(self, resource: Resource) -> bool:
        """Return whether the cache shows changes of a resource at once."""
        return not self.lagging and resource in self._cache.watches

    def _show(self, resource: Resource) -> None:
        """Show the cache all changes of a resource."""
        found = [body for key, body in self.objects.items() if key.resource == resource]
        self._cache.replace(resource, None, [self._cache.record(resource, body) for body in found])


def _merge(old: Any, change: Body) -> dict[str, Any]:
    """Return the result of a JSON merge patch."""
    merged = dict(old) if isinstance(old, Mapping) else {}
    for name, value in change.items():
        merged[name] = _merge(merged.get(name), value) if isinstance(value, Mapping) else value
    return {name: value for name, value in merged.items() if value is not None}
