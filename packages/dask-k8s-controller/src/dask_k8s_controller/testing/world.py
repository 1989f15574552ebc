"""A world in memory for unit tests of reconciles. No I/O, no pytest."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from dask_k8s_controller.dask.plugin import PLUGIN
from dask_k8s_controller.dask.scheduler.answers import Demand, Retired
from dask_k8s_controller.runtime.cache import Cache, Record
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.objects import Body, Key, key_of
from dask_k8s_controller.runtime.plan import Action, Create, Delete, Event, Patch, Plan
from dask_k8s_controller.runtime.plugin import Plugin
from dask_k8s_controller.runtime.results import After, Outcome, WriteError
from dask_k8s_controller.testing.objects import NOW
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource


class FakeAgent:
    """An `Agent` with set answers, by default those of a scheduler that has nothing to do.

    ``answers`` has one for each method: an exception is raised, a function is called with the arguments.
    ``requests`` has the names of the methods that were called.
    """

    def __init__(self, **answers: Any) -> None:
        self.requests: list[str] = []
        self.answers = {
            "demand": Demand(target_duration=5.0, idle_seconds=None, loads=(), waiting=()),
            "idle": None,
            "known": frozenset,
            "retire": lambda pods, count: Retired(gone=frozenset(sorted(pods)[:count])),
        } | answers

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        """Return the method that gives the answer of this name."""

        async def request(*arguments: Any) -> Any:
            self.requests.append(method)
            answer = self.answers[method]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return request


class FakeWorld:
    """A `World` with an API server in memory.

    Manifests go through the trims and indexes of the built-in plugin and of ``plugins`` into the cache of the
    controller. A plan is carried out at once; what a deleted object owns goes with it.

    Attributes:
        time: The time that `now` returns; `advance` moves it.
        scheduler: The agent of every cluster; None where no scheduler runs.
        objects: The manifests on the API server, by key.
        refuse: Returns the error with which the API server refuses an action, or None.
        lagging: While it is true the cache shows no changes, so that what is created is `expected`; then call
            `relist`.
        plans: The plans that were applied, empty ones too.
        statuses: The statuses that were reported.
        events: The Events that were emitted.
        writes: The successful writes, for example ``create Pod ns/p``; ``report`` is that of a status.
    """

    def __init__(self, *manifests: Body, plugins: Iterable[Plugin] = (), scheduler: Any = None) -> None:
        watches = {watched.resource: watched for plugin in (PLUGIN, *plugins) for watched in plugin.watches}
        self._expectations = Expectations()
        self._cache = Cache(watches, self._expectations.seen)
        self._versions = count(1)
        self.cluster_domain = "cluster.local"
        self.time = NOW
        self.scheduler = scheduler
        self.objects: dict[Key, dict[str, Any]] = {}
        self.refuse: Callable[[Action], ApiError | None] = lambda _: None
        self.lagging = False
        self.plans: list[Plan] = []
        self.statuses: list[Mapping[str, Any]] = []
        self.events: list[Event] = []
        self.writes: list[str] = []
        self.add(*manifests)

    def add(self, *manifests: Body) -> None:
        """Create or replace objects, as another client of the API server."""
        for body in manifests:
            kind = body["apiVersion"], body["kind"]
            self._store(
                next(each for each in self._cache.watches if (each.api_version, each.kind) == kind), body
            )

    def patch(self, key: Key, change: Body) -> None:
        """Apply a JSON merge patch to an object, as another client of the API server."""
        old = self.objects[key]
        new = merge_patch(old, change)
        if new.get("spec") != old.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": old["metadata"]["generation"] + 1}
        self._store(key.resource, new)

    def remove(self, key: Key, *, dependents: bool = True) -> None:
        """Delete an object and, as the garbage collector would, what it owns."""
        uid = self.objects.pop(key)["metadata"]["uid"]
        for other, body in list(self.objects.items()) if dependents else ():
            if any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences", ())):
                self.remove(other)
        self._show(key.resource)

    def relist(self) -> None:
        """End `lagging`: show the cache all changes."""
        self.lagging = False
        for resource in self._cache.watches:
            self._show(resource)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)

    # The methods of `World`; their docstrings are there.
    # ruff: noqa: D102

    def now(self) -> Any:
        return self.time

    def get(self, key: Key) -> Record | None:
        return self._cache.get(key)

    def owned(self, uid: str, resource: Resource) -> list[Record]:
        return self._cache.owned(uid, resource)

    def find(self, resource: Resource, namespace: str, index: str) -> list[Record]:
        return self._cache.find(resource, namespace, index)

    def expected(self, uid: str, resource: Resource) -> frozenset[str]:
        keys = self._expectations.created(uid, now=self.time.timestamp())
        return frozenset(key.name for key in keys if key.resource == resource)

    def doubted(self, uid: str, resource: Resource) -> list[str]:
        return [key.name for key in self._expectations.doubted(uid) if key.resource == resource]

    def agent(self, cluster: Record) -> Any:  # noqa: ARG002  # one for all clusters
        return self.scheduler

    async def apply(self, key: Key, uid: str, plan: Plan) -> Outcome:  # noqa: ARG002
        self.plans.append(plan)
        errors = []
        for action in plan:
            if (error := self.refuse(action)) is not None:
                errors.append(WriteError(action, error))
            elif self._write(uid, action):
                self.writes.append(str(action))
        return Outcome(tuple(errors))

    async def report(self, key: Key, status: Mapping[str, Any]) -> After | None:
        self.statuses.append(status)
        if key in self.objects and self.objects[key].get("status") != status:
            self.writes.append(f"report {key}")
            self._store(key.resource, {**self.objects[key], "status": status})
        return None

    def _write(self, owner: str, action: Action) -> bool:
        """Carry out an action; return whether the API server took it."""
        if isinstance(action, Event):
            self.events.append(action)
            return True
        there = self.objects.get(action.key)
        match action:
            case Create() if there is None:
                self._expectations.creating(owner, action.key, now=self.time.timestamp())
                self._store(action.key.resource, action.body)
            case Patch() if there and _same(there, action.body.get("metadata", {})):
                self.patch(action.key, action.body)
            case Delete() if there and _same(there, {"uid": action.uid, "resourceVersion": action.version}):
                self.remove(action.key)
            case _:
                return False
        return True

    def _store(self, resource: Resource, body: Body) -> None:
        version = str(next(self._versions))
        filled = {
            "namespace": "default",
            "uid": f"uid-{version}",
            "creationTimestamp": self.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generation": 1,
            **body["metadata"],
            "resourceVersion": version,
        }
        stored = {**body, "metadata": filled}
        self.objects[key_of(resource, stored)] = stored
        self._show(resource)

    def _show(self, resource: Resource) -> None:
        if not self.lagging and resource in self._cache.watches:
            found = [body for key, body in self.objects.items() if key.resource == resource]
            self._cache.replace(resource, None, [self._cache.record(resource, body) for body in found])


def merge_patch(old: Any, change: Any) -> Any:
    """Return the result of a JSON merge patch."""
    if not isinstance(change, Mapping):
        return change
    merged = {**(old if isinstance(old, Mapping) else {}), **change}
    return {
        name: merge_patch((old or {}).get(name), change[name]) if name in change else value
        for name, value in merged.items()
        if value is not None
    }


def _same(body: Body, expected: Body) -> bool:
    """Whether the preconditions of a write hold; what is None is not one."""
    return all(
        str(expected[name]) == body["metadata"][name]
        for name in ("uid", "resourceVersion")
        if expected.get(name) is not None
    )
