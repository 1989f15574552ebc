"""The stage of scenes: watches on all namespaces, and nodes where the cluster has no fake ones."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp

from dask_k8s_crds.resources import PODS, Resource

from .line import WATCH, Client, Line, Proxy
from .scenario import WATCHED, Scene, going, ready

NODE = "kwok"


class Stage:
    """Makes scenes and shows each what happens in its namespace."""

    def __init__(self, client: Client, proxy: Proxy, *, needs_nodes: bool) -> None:
        self._client = client
        self._proxy = proxy
        self._needs_nodes = needs_nodes
        self._scenes: dict[str, Scene] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watches: list[asyncio.Task[Any]] = []

    async def open(self) -> None:
        if self._needs_nodes:
            await self._client.json("POST", "/api/v1/nodes", node())
        for resource in WATCHED:
            listed = await self._client.json("GET", resource.path(None))
            self._watches.append(self._start(self._watch(resource, listed["metadata"]["resourceVersion"])))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for namespace in self._scenes:
            await self._client.json("DELETE", f"/api/v1/namespaces/{namespace}")
        for watch in self._watches:
            if not watch.cancelled():
                watch.result()  # it ended by itself, and scenes have not seen all since

    async def scene(self, namespace: str, line: Line | None = None) -> Scene:
        """A scene in a new namespace."""
        scene = self._scenes[namespace] = Scene(namespace, self._client, line or Line())
        self._proxy.lines[namespace] = scene.line
        await self._client.json("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        async with await self._client.send("GET", path, params={WATCH: "1"}) as watch:
            await watch.content.readline()  # pods are refused before there is one
        return scene

    async def _watch(self, resource: Resource, version: str) -> None:
        """Show every event; where the server ends a watch, as it does to who is slow, go on from there."""
        while True:
            parameters = {WATCH: "1", "allowWatchBookmarks": "1", "resourceVersion": version}
            with suppress(aiohttp.ClientError):
                async with await self._client.send("GET", resource.path(None), params=parameters) as answer:
                    async for line in answer.content:
                        event = json.loads(line)
                        assert event["type"] != "ERROR", event
                        version = event["object"]["metadata"]["resourceVersion"]
                        self._show(resource, event["type"], event["object"])

    def _show(self, resource: Resource, kind: str, body: dict[str, Any]) -> None:
        scene = self._scenes.get(body["metadata"].get("namespace"))
        if scene is not None:
            scene.take(resource, kind, body)
            if resource == PODS and kind != "DELETED":
                self._start(self._be_node(body))

    async def _be_node(self, pod: dict[str, Any]) -> None:
        """Run a pod and let it end, as kwok does on a cluster that has it.

        Where kwok is late with a node's heartbeat its pods become unready, and it leaves them so.
        """
        metadata, phase = pod["metadata"], pod["status"]["phase"]
        path = PODS.path(metadata["namespace"], metadata["name"])
        if going(pod):
            if self._needs_nodes:
                condition = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
                await self._client.json("DELETE", path, condition)
        elif "nodeName" not in pod["spec"]:
            if self._needs_nodes:
                target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
                binding = {"metadata": {"name": metadata["name"]}, "target": target}
                await self._client.json("POST", f"{path}/binding", binding)
        elif not ready(pod) and (self._needs_nodes or phase == "Running"):
            others = () if self._needs_nodes else pod["status"].get("conditions", ())
            conditions = [each for each in others if each["type"] != "Ready"]
            conditions.append({"type": "Ready", "status": "True"})
            status = {"phase": "Running", "conditions": conditions}
            await self._client.json("PATCH", f"{path}/status", {"status": status})

    def _start(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def node() -> dict[str, Any]:
    taint = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
    return {"metadata": {"name": NODE, "labels": {"type": "kwok"}}, "spec": {"taints": [taint]}}
