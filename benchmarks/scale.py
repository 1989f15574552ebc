"""How fast the controller is on any API server, as ratios to a raw client in the same run.

    nox -s bench -- scale [--workers 1000] [--rounds 3] [--clusters 50]

Needs `KUBECONFIG` and nodes that run pods for nothing (kwok: label `type=kwok`, taint `kwok.x-k8s.io/node`).
The raw client is the controller's own session without the controller: it POSTs the same pods, 32 at a time.
"""

import argparse
import asyncio
import os
import re
import statistics
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from raw import CONCURRENCY, LIMIT_SECONDS, Made, post
from rich.console import Console
from rich.table import Table

from dask_k8s_controller.dask.workergroup.desired import Desired, worker_names
from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds import DaskCluster, DaskWorkerGroup, labels, names
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES, Resource

NAMESPACES = Resource("", "v1", "Namespace", "namespaces")
READY_SECONDS = 30.0
IDLE_SECONDS = 10

Row = tuple[str, str, str]
CONSOLE = Console()


def pod_spec(name: str) -> dict[str, Any]:
    """Return the spec of a pod that a fake node runs."""
    return {
        "nodeSelector": {"type": "kwok"},
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "containers": [{"name": name, "image": "example.invalid/none", "args": ["dask", name]}],
    }


def cluster(name: str, workers: int) -> dict[str, Any]:
    """Return a DaskCluster whose pods go to fake nodes."""
    ports = [{"name": "tcp-comm", "port": 8786}, {"name": "http-dashboard", "port": 8787}]
    return {
        "apiVersion": DASK_CLUSTERS.api_version,
        "kind": DASK_CLUSTERS.kind,
        "metadata": {"name": name},
        "spec": {
            "scheduler": {"spec": pod_spec("scheduler"), "service": {"ports": ports}},
            "worker": {"replicas": workers, "spec": pod_spec("worker")},
        },
    }


@asynccontextmanager
async def namespace(api: Api, name: str) -> AsyncIterator[str]:
    """Have an empty namespace."""
    await api.create(
        NAMESPACES.path(None), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    try:
        yield name
    finally:
        uid = (await api.get(f"{NAMESPACES.path(None)}/{name}"))["metadata"]["uid"]
        await api.delete(f"{NAMESPACES.path(None)}/{name}", uid)
        await gone(api, name)


async def gone(api: Api, name: str) -> None:
    """Wait until a namespace is gone, so that its end does not burden the next measurement."""
    while True:
        try:
            await api.get(f"{NAMESPACES.path(None)}/{name}")
        except ApiError as error:
            if error.status == 404:
                return
            raise
        await asyncio.sleep(0.5)


@asynccontextmanager
async def controller(where: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the controller for one namespace, from ready to the end of the context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dask_k8s_controller", "run", "--namespace", where,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    log: deque[bytes] = deque(maxlen=50)
    ready = asyncio.Event()

    async def read() -> None:
        async for line in process.stderr or ():
            log.append(line)
            if b"Ready" in line:
                ready.set()

    reader = asyncio.create_task(read())
    started = asyncio.create_task(ready.wait())
    await asyncio.wait((started, reader), timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    try:
        if ready.is_set():
            yield process
    finally:
        started.cancel()
        ended = process.returncode is not None
        if not ended:
            process.terminate()
        await process.wait()
        await reader
        if ended or not ready.is_set():
            raise SystemExit(b"".join(log).decode())


def memory(process: asyncio.subprocess.Process) -> float:
    """Return the resident memory of a process in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def cpu(process: asyncio.subprocess.Process) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def calls(api: Api) -> dict[tuple[str, str, str], float]:
    """Return the requests that the API server has answered, by verb, resource and subresource."""
    connector = aiohttp.TCPConnector(ssl=api.credentials.ssl_context())
    headers = (
        {"Authorization": authorization} if (authorization := await api.credentials.authorization()) else {}
    )
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        text = await (await session.get(api.credentials.server + "/metrics")).text()
    counts: dict[tuple[str, str, str], float] = {}
    for line in re.findall(r"^apiserver_request_total\{.*$", text, re.MULTILINE):
        fields = dict(re.findall(r'(\w+)="([^"]*)"', line))
        key = (fields["verb"], fields["resource"], fields["subresource"])
        counts[key] = counts.get(key, 0.0) + float(line.rpartition(" ")[2])
    return counts


async def seen(api: Api, resource: Resource, where: str, number: int, **parameters: str) -> list[float]:
    """Wait until so many objects were added in a namespace; return the time of each."""
    times: list[float] = []
    async with asyncio.timeout(LIMIT_SECONDS):
        while len(times) < number:
            async for event in api.watch(resource.path(where), idle_timeout=LIMIT_SECONDS, **parameters):
                if event["type"] == "ADDED":
                    times.append(time.perf_counter())
                    if len(times) == number:
                        break
    return times


async def rate_of(api: Api, where: str, number: int, work: Coroutine[Any, Any, Any]) -> float:
    """Return the pods per second that a watch shows while some work makes them."""
    watching = asyncio.create_task(seen(api, PODS, where, number))
    await work
    times = await watching
    return (number - 1) / (times[-1] - times[0])


async def raw_pods(api: Api, where: str, number: int) -> deque[Made]:
    """Return the pods that the controller would make; who owns them is there, or they would be collected."""
    owner = await api.create(DASK_CLUSTERS.path(where), cluster("raw", number))
    body = {
        "apiVersion": DASK_WORKER_GROUPS.api_version,
        "kind": DASK_WORKER_GROUPS.kind,
        "metadata": {"name": names.default_group("raw")},
        "spec": {"cluster": "raw", "worker": owner["spec"]["worker"]},
    }
    group = DaskWorkerGroup.parse(await api.create(DASK_WORKER_GROUPS.path(where), body))
    desired = Desired(group, DaskCluster.parse(owner), "cluster.local")
    creations = desired.creations(worker_names(group, number, ()))
    return deque((PODS, creation.body) for creation in creations)


async def many_workers(api: Api, number: int, rounds: int) -> list[Row]:
    """Measure one cluster with so many workers against the raw client, in turn."""
    raw, ours, rows = [], [], []
    for place in range(rounds):
        CONSOLE.print(f"{number} workers, round {place + 1} of {rounds}", style="dim")
        async with namespace(api, "bench-raw") as where:
            pods = await raw_pods(api, where, number)
            raw.append(await rate_of(api, where, number, post(api, where, pods)))
        async with namespace(api, "bench-scale") as where, controller(where) as process:
            before, started, used = await calls(api), memory(process), cpu(process)
            create = api.create(DASK_CLUSTERS.path(where), cluster("scale", number))
            ours.append(await rate_of(api, where, number + 1, create))
            await all_counted(api, where, number)
            rows = [
                (
                    "processor time of the controller",
                    f"{(cpu(process) - used) * 1000 / number:.2f} ms",
                    "per worker",
                ),
                ("memory of the controller", f"{started:.0f} -> {memory(process):.0f} MiB", ""),
                *api_calls(before, await calls(api), number),
            ]
    ratios = [mine / base for mine, base in zip(ours, raw, strict=True)]
    return [
        (f"raw client, {CONCURRENCY} at a time", _each(raw), "pods/s"),
        (f"{number} workers of one cluster", _each(ours), "pods/s"),
        ("of the raw rate", f"{statistics.median(ratios):.0%}", " ".join(f"{ratio:.0%}" for ratio in ratios)),
        *rows,
    ]


def _each(values: list[float]) -> str:
    return " ".join(f"{value:.0f}" for value in values)


async def all_counted(api: Api, where: str, number: int) -> None:
    """Wait until the group says that it has all its workers.

    Not until they are ready: fake nodes without leases lose their heartbeat, and so pods their readiness.
    """
    async with asyncio.timeout(LIMIT_SECONDS):
        async for event in api.watch(DASK_WORKER_GROUPS.path(where), idle_timeout=LIMIT_SECONDS):
            if (event["object"].get("status") or {}).get("replicas") == number:
                return


async def idle(api: Api) -> Row:
    """Count the requests for Dask's resources, which only the controller sends, while nothing happens.

    Nobody schedules the pods: on fake nodes without leases they would lose their readiness after a while.
    """
    body = cluster("idle", 10)
    for section in ("scheduler", "worker"):
        body["spec"][section]["spec"]["schedulerName"] = "nobody"
    async with namespace(api, "bench-idle") as where, controller(where):
        await api.create(DASK_CLUSTERS.path(where), body)
        await all_counted(api, where, 10)
        await asyncio.sleep(2)
        before = await calls(api)
        await asyncio.sleep(IDLE_SECONDS)
        after = await calls(api)
    ours = {DASK_CLUSTERS.plural, DASK_WORKER_GROUPS.plural}
    # Others watch them too, as the garbage collector does, and reopen their watches at any time.
    found = [key for key in after if key[1] in ours and key[0] != "WATCH"]
    count = sum(after[key] - before.get(key, 0.0) for key in found)
    return (f"requests for Dask's resources in {IDLE_SECONDS} s at idle", f"{count:.0f}", "")


def api_calls(
    before: dict[tuple[str, str, str], float], after: dict[tuple[str, str, str], float], number: int
) -> list[Row]:
    """Return what was written to the resources that the controller writes."""
    ours = {"pods", "services", "events", "daskclusters", "daskworkergroups"}
    rows = []
    for key in sorted(after):
        verb, resource, subresource = key
        count = after[key] - before.get(key, 0.0)
        # Nodes and the scheduler write bindings and the status of pods; those are not the controller's.
        theirs = resource == "pods" and subresource in {"binding", "status"}
        if count and resource in ours and not theirs and verb not in {"WATCH", "LIST"}:
            what = f"{verb} {resource}{'/' if subresource else ''}{subresource}"
            rows.append((what, f"{count:.0f}", f"{count / number:.3f} per worker"))
    return rows


async def small_clusters(api: Api, number: int) -> list[Row]:
    """Measure how long after a DaskCluster its children exist, one cluster after the other."""
    took: list[float] = []
    raw: list[float] = []
    CONSOLE.print(f"{number} small clusters", style="dim")
    async with namespace(api, "bench-small") as where, controller(where):
        for place in range(number):
            name = f"small-{place}"
            raw.append(await raw_children(api, where, place))
            children = {labels.CLUSTER_NAME: name}
            listed = await api.get(PODS.path(where))
            version = listed["metadata"]["resourceVersion"]
            parameters = {"resourceVersion": version, "labelSelector": labels.selector(children)}
            watching = [
                asyncio.create_task(seen(api, resource, where, count, **parameters))
                for resource, count in ((PODS, 3), (SERVICES, 1), (DASK_WORKER_GROUPS, 1))
            ]
            await asyncio.sleep(0.2)  # the watches are open, and nothing else runs
            start = time.perf_counter()
            await api.create(DASK_CLUSTERS.path(where), cluster(name, 2))
            took.append(max(map(max, await asyncio.gather(*watching))) - start)
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    median, base = statistics.median(took), statistics.median(raw)
    return [
        ("raw client: 3 pods and a service, one by one", f"{base * 1000:.0f} ms", "median"),
        ("children of a 3-pod cluster, median", f"{median * 1000:.0f} ms", f"{median / base:.2f} of raw"),
        ("children of a 3-pod cluster, 99th percentile", f"{p99 * 1000:.0f} ms", f"{p99 / base:.2f} of raw"),
    ]


async def raw_children(api: Api, where: str, place: int) -> float:
    """POST the same objects one after the other; return the seconds."""
    name = f"raw-{place}"
    start = time.perf_counter()
    for pod in (names.scheduler(name), *(names.worker(name, "raw", ordinal) for ordinal in range(2))):
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod}, "spec": pod_spec("worker")}
        await api.create(PODS.path(where), body)
    ports = [{"port": 8786}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}}
    await api.create(SERVICES.path(where), service)
    return time.perf_counter() - start


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table(
        "what", "measured", "ratio", title=f"dask-k8s-controller on {os.environ.get('KUBECONFIG', '?')}"
    )
    async with Api() as api:
        for row in [
            *await small_clusters(api, options.clusters),
            *await many_workers(api, options.workers, options.rounds),
            await idle(api),
        ]:
            table.add_row(*row)
    CONSOLE.print(table)


if __name__ == "__main__":
    asyncio.run(main())
