"""A cluster in a namespace of its own: edits, what must hold at every event, when all is as it should be."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import labels, names
from dask_k8s_crds.resources import (
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from dask_k8s_crds.updates import UpdateStrategy

from .agents import Agents
from .line import Client, Line

Body = dict[str, Any]
WATCHED = (DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES)
SECONDS = 150.0
"""So long at most until all is as it should be."""
FAKE_NODES = {
    "nodeSelector": {"type": "kwok"},
    "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
}


def going(body: Body) -> bool:
    return "deletionTimestamp" in body["metadata"]


def ready(pod: Body) -> bool:
    found = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in found)


def owner(body: Body) -> str:
    [reference] = body["metadata"].get("ownerReferences") or [{"uid": ""}]
    return str(reference["uid"])


def template(command: str) -> Body:
    container = {"name": command, "image": "registry.invalid/dask", "args": ["dask", command]}
    return {**FAKE_NODES, "containers": [container]}


def edit_of(pod: Body) -> str | None:
    found = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0].get("env", ())}
    return found.get("EDIT")


def port(edit: int) -> int:
    return 8786 + edit


def edited(edit: int) -> Body:
    """The spec of a cluster after so many edits."""

    def section(command: str) -> Body:
        spec = template(command)
        spec["containers"][0]["env"] = [{"name": "EDIT", "value": str(edit)}]
        return {"metadata": {"labels": {"variant": str(edit)}}, "spec": spec}

    service = {"ports": [{"name": "tcp-comm", "port": port(edit)}]}
    return {"scheduler": {**section("scheduler"), "service": service}, "worker": section("worker")}


@dataclass
class Scene:
    """One namespace: what is there, and whether it may be."""

    namespace: str
    client: Client
    line: Line
    objects: dict[tuple[Resource, str], Body] = field(default_factory=dict)
    allowed: dict[str, int] = field(default_factory=dict)
    """By group: the most workers that were requested since it last settled."""
    replicas: dict[str, int] = field(default_factory=dict)
    edit: int = 0
    """How many times the cluster's templates, labels and service have been edited."""
    spare: int = 0
    """By how many a group may have more for a moment."""
    broken: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, resource: Resource, kind: str, body: Body) -> None:
        """Take what the watch shows, and check it."""
        name = body["metadata"]["name"]
        self.story.append(f"{kind} {resource.kind} {name}{' going' * going(body)}")
        if kind == "DELETED":
            self.objects.pop((resource, name), None)
        else:
            self.objects[resource, name] = body
        if resource == PODS and kind == "ADDED":
            self._check()
        self._changed.set()
        self._changed = asyncio.Event()

    def all(self, resource: Resource) -> list[Body]:
        return [body for (of, _), body in self.objects.items() if of == resource]

    def _check(self) -> None:
        alive = [pod for pod in self.all(PODS) if not going(pod)]
        schedulers = [pod for pod in alive if pod["metadata"]["labels"][labels.COMPONENT] == "scheduler"]
        if len(schedulers) > 1:
            self._break(f"{len(schedulers)} schedulers")
        for group, number in self.allowed.items():
            of_group = [
                pod for pod in alive if pod["metadata"]["labels"].get(labels.WORKER_GROUP_NAME) == group
            ]
            most = number + UpdateStrategy().surge(number) + self.spare
            if len(of_group) > most:
                self._break(f"{len(of_group)} workers of {group}, not more than {most} allowed")

    def _break(self, sentence: str) -> None:
        self.broken.append("\n".join([sentence, *self.story[-40:], *self.line.writes[-20:]]))

    def settled(self) -> bool:
        """Whether there is exactly what the user asked for."""
        clusters, groups = self.all(DASK_CLUSTERS), self.all(DASK_WORKER_GROUPS)
        pods, services = self.all(PODS), self.all(SERVICES)
        if not self.replicas:
            return not (clusters or groups or pods or services)
        found = {group["metadata"]["name"]: group["spec"]["worker"]["replicas"] for group in groups}
        if found != self.replicas or not clusters or not all(ready(pod) and not going(pod) for pod in pods):
            return False
        cluster = clusters[0]["metadata"]["uid"]
        owners = [cluster]
        for group in groups:
            owners += [group["metadata"]["uid"]] * self.replicas[group["metadata"]["name"]]
        return (
            sorted(map(owner, pods)) == sorted(owners)
            and [owner(service) for service in services] == [cluster]
            and {owner(group) for group in groups} == {cluster}
            and self._follows(pods, services)
        )

    def _follows(self, pods: list[Body], services: list[Body]) -> bool:
        """Whether the last edit has reached everything that it is about."""
        ours = [pod for pod in pods if pod["metadata"]["labels"].get(labels.WORKER_GROUP_NAME) != "c-more"]
        variants = [each["metadata"]["labels"].get("variant") for each in (*ours, *services)]
        return (
            {edit_of(pod) for pod in ours} == {str(self.edit)}
            and set(variants) == {str(self.edit)}
            and [service["spec"]["ports"][0]["port"] for service in services] == [port(self.edit)]
        )

    def reported(self) -> bool:
        """Whether it has settled and the statuses say so."""
        total = sum(self.replicas.values())
        return self.settled() and all(
            cluster.get("status", {}).get("phase") == "Running"
            and cluster["status"]["workers"] == f"{total}/{total}"
            and {each["type"] for each in cluster["status"]["conditions"] if each["status"] == "True"}
            == {"SchedulerReady", "WorkersReady", "Ready"}
            for cluster in self.all(DASK_CLUSTERS)
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for events until this holds; then what was allowed on the way there is over."""
        try:
            async with asyncio.timeout(SECONDS):
                while not holds():
                    await self.change()
        except TimeoutError:
            state = [
                f"{of.kind} {name} {json.dumps(body.get('status'))}"
                for (of, name), body in self.objects.items()
            ]
            raise AssertionError(
                "\n".join(["never settled", *state, *self.story[-40:], *self.line.writes[-20:]])
            ) from None
        self.allowed = dict(self.replicas)
        assert not self.broken, self.broken[0]

    async def change(self) -> None:
        """Wait for the next event."""
        await self._changed.wait()

    def _want(self, group: str, replicas: int) -> None:
        self.replicas[group] = replicas
        self.allowed[group] = max(self.allowed.get(group, 0), replicas)

    async def create(self, replicas: int = 3) -> None:
        """A cluster with 3 workers, and a second group of 2."""
        self._want("c-default", replicas)
        self._want("c-more", 2)
        cluster = edited(self.edit)
        cluster["worker"] |= {"replicas": replicas}
        await self._make(DASK_CLUSTERS, "c", cluster)
        more = {"cluster": "c", "worker": {"replicas": 2, "spec": template("worker")}}
        await self._make(DASK_WORKER_GROUPS, "c-more", more)

    async def scale_up(self) -> None:
        await self._scale(5)

    async def scale_down(self) -> None:
        await self._scale(2)

    async def scale_up_again(self) -> None:
        await self._scale(4)

    async def lose_pods(self) -> None:
        """A worker and the scheduler are deleted behind the controller's back."""
        workers = [name for of, name in self.objects if of == PODS and name.startswith("c-default-worker-")]
        for name in ("c-scheduler", *workers[:1]):
            await self.client.json("DELETE", self._path(PODS, name))

    async def edit_all(self) -> None:
        """Both templates, their labels and the service in one edit."""
        self.edit += 1
        await self.client.json("PATCH", self._path(DASK_CLUSTERS, "c"), {"spec": edited(self.edit)})

    async def delete(self) -> None:
        self.replicas = {}
        await self.client.json("DELETE", self._path(DASK_CLUSTERS, "c"))

    async def _scale(self, replicas: int) -> None:
        self._want("c-default", replicas)
        await self.client.json(
            "PATCH", self._path(DASK_CLUSTERS, "c", "scale"), {"spec": {"replicas": replicas}}
        )

    async def _make(self, resource: Resource, name: str, spec: Body) -> None:
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        await self.client.json("POST", self._path(resource), body)

    def _path(self, resource: Resource, *rest: str) -> str:
        return resource.path(self.namespace, *rest)

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Operator]:
        """A controller that knows nothing yet; at the end it is gone at once, and its memory with it."""
        async with Api() as api:
            key = SigningKey(api, Key(SECRETS, self.namespace, names.AGENT_KEY))
            settings = Settings(namespaces=(self.namespace,))
            operator = Operator(api, [plugin.PLUGIN], settings, key, agents=Agents(Random(1)))
            task = asyncio.create_task(operator.run())
            try:
                yield operator
                assert not task.done(), task.exception()
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


STEPS = (
    Scene.create,
    Scene.scale_up,
    Scene.scale_down,
    Scene.edit_all,
    Scene.lose_pods,
    Scene.scale_up_again,
    Scene.delete,
)
BEFORE = {
    Scene.scale_up: (3, 0),
    Scene.scale_down: (5, 0),
    Scene.edit_all: (2, 0),
    Scene.lose_pods: (2, 1),
    Scene.scale_up_again: (2, 1),
    Scene.delete: (4, 1),
}
"""The workers and the edits of a cluster before each step but the first."""
