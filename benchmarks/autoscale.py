"""What many autoscaled clusters cost one controller, and how soon work has workers.

    nox -s bench -- autoscale [--clusters 500] [--interval 5] [--seconds 30] [--bursts 50]

Needs `KUBECONFIG`. The schedulers are fake: their pods are on no node, are said to run by this script, and
have addresses of this machine (127.x.y.z), where it answers as their agents would.
So the controller has to run on this machine, too, which it does.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from aiohttp import web
from rich.table import Table
from scale import CONSOLE, IDLE_SECONDS, LIMIT_SECONDS, Row, controller, cpu, memory, namespace

from dask_k8s_controller import Demand, Load, Waiting
from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_AUTOSCALERS as AUTOSCALERS
from dask_k8s_crds.resources import DASK_CLUSTERS as CLUSTERS
from dask_k8s_crds.resources import PODS, Resource

PORT = 28787
FIRST_ADDRESS = IPv4Address("127.77.0.1")
AT_A_TIME = 16
SETTLED_SECONDS = 40.0
"""After so long the controller has looked again at all that it made."""
STRANGER = Load(
    resources={},
    asked={},
    busy={},
    workers=1,
    idle=1,
    threads=1,
    processing=0,
    occupancy=0.0,
    memory=0,
    managed=0,
    memory_limit=0,
)
"""A worker that belongs to no group, so that a scheduler has one to report."""

Made = asyncio.Queue[tuple[str, float]]
"""Clusters of which a worker was made, and when."""


def pod_spec(role: str) -> dict[str, Any]:
    """Return the spec of a pod that nobody runs."""
    ports = [{"name": "http-dashboard", "containerPort": PORT}] if role == labels.SCHEDULER else []
    container = {"name": role, "image": "example.invalid/none", "args": ["dask", role], "ports": ports}
    return {"schedulingGates": [{"name": "benchmarks.dask.org/held"}], "containers": [container]}


def cluster(name: str) -> dict[str, Any]:
    """Return a DaskCluster without workers."""
    ports = [{"name": "tcp-comm", "port": 8786}, {"name": "http-dashboard", "port": 8787}]
    return {
        "apiVersion": CLUSTERS.api_version,
        "kind": CLUSTERS.kind,
        "metadata": {"name": name},
        "spec": {
            "scheduler": {"spec": pod_spec(labels.SCHEDULER), "service": {"ports": ports}},
            "worker": {"replicas": 0, "spec": pod_spec(labels.WORKER)},
        },
    }


def autoscaler(name: str, interval: int) -> dict[str, Any]:
    """Return the autoscaler of the cluster with the same name."""
    return {
        "apiVersion": AUTOSCALERS.api_version,
        "kind": AUTOSCALERS.kind,
        "metadata": {"name": name},
        "spec": {"cluster": name, "maximum": 10, "intervalSeconds": interval},
    }


@dataclass
class Schedulers:
    """All fake schedulers: one server, which knows by the address who is asked."""

    waiting: dict[str, int] = field(default_factory=dict)
    """By name of the cluster, tasks that wait."""
    asked: int = 0
    _names: dict[str, str] = field(default_factory=dict)

    def address(self, name: str) -> str:
        """Return the address of the scheduler of a cluster."""
        address = str(FIRST_ADDRESS + int(name.rpartition("-")[2]))
        self._names[address] = name
        return address

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer."""
        app = web.Application()
        app.router.add_get("/dask-k8s/v1/demand", self._demand)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", PORT).start()  # noqa: S104 - all of 127.x.y.z
        try:
            yield
        finally:
            await runner.cleanup()

    async def _demand(self, request: web.Request) -> web.Response:
        self.asked += 1
        assert request.transport is not None  # noqa: S101 - a request that is being answered has one
        host, _ = request.transport.get_extra_info("sockname")
        tasks = self.waiting.get(self._names[host], 0)
        waiting = (Waiting(resources={}, tasks=tasks, seconds=float(tasks)),) if tasks else ()
        answer = Demand(target_duration=5.0, idle_seconds=None, loads=(STRANGER,), waiting=waiting)
        return web.json_response(text=answer.model_dump_json())


async def each(work: Iterable[Any]) -> None:
    """Await all, some at a time."""
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(coroutine: Any) -> None:
        async with free:
            await coroutine

    await asyncio.gather(*map(one, work))


async def kubelet(api: Api, where: str, schedulers: Schedulers, made: Made) -> None:
    """Report schedulers as running, and return the workers that are created."""
    selector = labels.CLUSTER_NAME
    while True:
        async for event in api.watch(PODS.path(where), idle_timeout=LIMIT_SECONDS, labelSelector=selector):
            pod = event["object"]
            own, status = pod["metadata"]["labels"], pod["status"]
            if event["type"] == "ADDED" and own[labels.COMPONENT] == labels.WORKER:
                made.put_nowait((own[labels.CLUSTER_NAME], time.perf_counter()))
            elif event["type"] == "ADDED" and status.get("phase") != "Running":
                ready = [{"type": "Ready", "status": "True"}]
                address = schedulers.address(own[labels.CLUSTER_NAME])
                said = {
                    "phase": "Running",
                    "podIP": address,
                    "podIPs": [{"ip": address}],
                    "conditions": ready,
                }
                path = PODS.path(where, pod["metadata"]["name"], "status")
                await api.patch(path, {"status": said})


async def until(api: Api, resource: Resource, where: str, number: int, condition: str) -> None:
    """Wait until a condition holds of so many objects."""
    holding: set[str] = set()
    async with asyncio.timeout(LIMIT_SECONDS * 3):
        while True:
            async for event in api.watch(resource.path(where), idle_timeout=LIMIT_SECONDS):
                found = (event["object"].get("status") or {}).get("conditions") or ()
                if any(each["type"] == condition and each["status"] == "True" for each in found):
                    holding.add(event["object"]["metadata"]["name"])
                if len(holding) == number:
                    return


async def share(process: asyncio.subprocess.Process, seconds: float) -> float:
    """Return the part of one processor that a process takes."""
    used, start = cpu(process), time.perf_counter()
    await asyncio.sleep(seconds)
    return (cpu(process) - used) / (time.perf_counter() - start)


async def bursts(schedulers: Schedulers, names: list[str], made: Made) -> list[float]:
    """Have tasks wait in one cluster after the other; return how long each had no worker."""
    began: dict[str, float] = {}
    for name in names:
        # Seldom enough that the API server has nothing else to do.
        await asyncio.sleep(random.uniform(0, 1))
        began[name] = time.perf_counter()
        schedulers.waiting[name] = 20
    took: dict[str, float] = {}
    async with asyncio.timeout(LIMIT_SECONDS):
        while len(took) < len(names):
            name, when = await made.get()
            took.setdefault(name, when - began[name])
    return list(took.values())


async def measure(api: Api, options: argparse.Namespace) -> list[Row]:
    """Have clusters, then autoscalers, then work."""
    names = [f"auto-{place}" for place in range(options.clusters)]
    schedulers, made = Schedulers(), Made()
    async with (
        namespace(api, "bench-autoscale") as where,
        schedulers.listening(),
        controller(where) as process,
    ):
        node = asyncio.create_task(kubelet(api, where, schedulers, made))
        CONSOLE.print(f"{options.clusters} clusters", style="dim")
        await each(api.create(CLUSTERS.path(where), cluster(name)) for name in names)
        await until(api, CLUSTERS, where, len(names), "SchedulerReady")
        await asyncio.sleep(SETTLED_SECONDS)
        without, held = await share(process, IDLE_SECONDS), memory(process)
        CONSOLE.print(f"{options.clusters} autoscalers", style="dim")
        bodies = [autoscaler(name, options.interval) for name in names]
        await each(api.create(AUTOSCALERS.path(where), body) for body in bodies)
        await until(api, AUTOSCALERS, where, len(names), "Active")
        await asyncio.sleep(2 * options.interval)
        asked, calm = schedulers.asked, await share(process, options.seconds)
        asked = schedulers.asked - asked
        rows = [
            ("processor of the controller, without autoscalers", f"{without:.1%}", "of one core"),
            (f"with one each, every {options.interval} s", f"{calm:.1%}", "of one core"),
            ("schedulers asked", f"{asked / options.seconds:.0f}", "per second"),
            (
                "processor time",
                f"{(calm - without) / max(asked, 1) * options.seconds * 1000:.2f} ms",
                "per look",
            ),
            ("memory", f"{held:.0f} -> {memory(process):.0f} MiB", "without and with autoscalers"),
        ]
        CONSOLE.print(f"{options.bursts} bursts", style="dim")
        took = await bursts(schedulers, random.sample(names, options.bursts), made)
        node.cancel()
        await asyncio.gather(node, return_exceptions=True)
    beyond = max(took) - options.interval
    return [
        *rows,
        ("tasks wait -> first pod is made, median", f"{statistics.median(took):.2f} s", ""),
        ("tasks wait -> first pod is made, longest", f"{max(took):.2f} s", f"the interval {beyond:+.2f} s"),
    ]


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--interval", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--bursts", type=int, default=50)
    options = parser.parse_args()
    title = f"dask-k8s-autoscaler on {os.environ.get('KUBECONFIG', '?')}"
    table = Table("what", "measured", "ratio", title=title)
    async with Api() as api:
        for row in await measure(api, options):
            table.add_row(*row)
    CONSOLE.print(table)


if __name__ == "__main__":
    asyncio.run(main())
