"""The same objects without a controller: what it made is read, laid bare, and POSTed again."""

import asyncio
from collections import deque
from typing import Any

from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds.resources import PODS, SECRETS, SERVICES, Resource

JOBS = Resource("batch", "v1", "Job", "jobs")
CLUSTER_CHILDREN = (SECRETS, SERVICES, PODS)
CONCURRENCY = 32
LIMIT_SECONDS = 120.0

Made = tuple[Resource, dict[str, Any]]


async def all_made(api: Api, where: str, *resources: Resource) -> list[Made]:
    """Return the objects of a namespace as they were sent, without what the server added."""
    return [
        (resource, bare(resource, body))
        for resource in resources
        for body in (await api.get(resource.path(where)))["items"]
    ]


def bare(resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
    """Return an object as it was sent."""
    metadata = body["metadata"]
    kept = {name: metadata[name] for name in ("name", "labels", "annotations") if name in metadata}
    sent = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": kept}
    sent |= {name: body[name] for name in ("spec", "data", "type") if name in body}
    if resource == PODS:
        sent["spec"] = {name: each for name, each in body["spec"].items() if name != "nodeName"}
    if resource == SERVICES:
        sent["spec"] = {name: each for name, each in body["spec"].items() if not name.startswith("clusterIP")}
    if resource == JOBS:
        template = {"metadata": {}, "spec": body["spec"]["template"]["spec"]}
        kept.pop("labels", None)
        sent["spec"] = {"backoffLimit": body["spec"]["backoffLimit"], "template": template}
    return sent


async def post(api: Api, where: str, waiting: deque[Made]) -> None:
    """POST all, so many at a time."""

    async def one_by_one() -> None:
        while waiting:
            resource, body = waiting.popleft()
            await api.create(resource.path(where), body)

    await asyncio.gather(*(one_by_one() for _ in range(CONCURRENCY)))


async def address(api: Api, where: str, pod: str) -> str:
    """Wait for the address of a pod."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            async for event in api.watch(PODS.path(where), idle_timeout=LIMIT_SECONDS):
                body = event["object"]
                host: str = (body.get("status") or {}).get("podIP", "")
                if body["metadata"]["name"] == pod and host:
                    return host
