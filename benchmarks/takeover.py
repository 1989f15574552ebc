"""How long after its leader is killed a pair of controllers works on, and whether anything is made twice.

    nox -s bench -- takeover [--kills 20] [--workers 100] [--stops 5]

Needs `KUBECONFIG`. In each round a cluster is to have so many workers, and the leader is killed with SIGKILL
once a random share of them is there; a time is from the signal to when the standby leads. A stop is the same
with SIGTERM. No node runs the pods.
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.table import Table
from scale import CONSOLE, LIMIT_SECONDS, cluster, namespace

from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

CALM_SECONDS = 2.0
"""After the last pod: what is made twice would come by then."""


class Candidate:
    """A controller that waits for the lease of a namespace."""

    async def start(self, where: str) -> None:
        """Start, and wait until it watches."""
        self.leads = asyncio.Event()
        self._ready = asyncio.Event()
        options = ("--namespace", where, "--leader-elect", "--lease-namespace", where)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dask_k8s_controller", "run", *options), stderr=asyncio.subprocess.PIPE
        )
        self._reader = asyncio.create_task(self._read())
        await self._ready.wait()

    async def end(self, how: signal.Signals) -> None:
        """Send a signal, and wait until the process is gone."""
        if self._process.returncode is None:
            self._process.send_signal(how)
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        async for line in self._process.stderr or ():
            if b"Ready" in line:
                self._ready.set()
            if b"Leader: got" in line:
                self.leads.set()


@asynccontextmanager
async def pair(where: str) -> AsyncIterator[list[Candidate]]:
    """Run two controllers, the leader first."""
    found = [Candidate(), Candidate()]
    try:
        for each in found:
            await each.start(where)
            if each is found[0]:
                await each.leads.wait()
        yield found
    finally:
        for each in found:
            await each.end(signal.SIGTERM)


class Seen:
    """The pods of a cluster that were ever there, by uid, with the time of each."""

    def __init__(self, api: Api, where: str, name: str, version: str) -> None:
        self.times: dict[str, float] = {}
        self._more = asyncio.Event()
        self._parameters = {
            "resourceVersion": version,
            "labelSelector": labels.selector({labels.CLUSTER_NAME: name}),
        }
        self._watching = asyncio.create_task(self._watch(api, where))

    async def count(self, number: int) -> None:
        """Wait until so many were there."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while len(self.times) < number:
                self._more.clear()
                await self._more.wait()

    async def end(self) -> int:
        """Stop watching; return how many were ever there."""
        self._watching.cancel()
        await asyncio.wait([self._watching])
        return len(self.times)

    async def _watch(self, api: Api, where: str) -> None:
        async for event in api.watch(PODS.path(where), idle_timeout=LIMIT_SECONDS, **self._parameters):
            if event["type"] == "ADDED":
                self.times[event["object"]["metadata"]["uid"]] = time.perf_counter()
                self._more.set()


async def take_over(
    api: Api, where: str, both: list[Candidate], how: signal.Signals, workers: int
) -> tuple[float, int]:
    """End the leader while it makes pods; return the seconds until another leads, and how many pods came."""
    leader, standby = both
    name = f"takeover-{random.randrange(10**9)}"
    body = cluster(name, workers)
    for section in ("scheduler", "worker"):
        body["spec"][section]["spec"]["schedulerName"] = "nobody"
    version = (await api.get(PODS.path(where)))["metadata"]["resourceVersion"]
    seen = Seen(api, where, name, version)
    made = await api.create(DASK_CLUSTERS.path(where), body)
    await seen.count(random.randint(1, workers * 9 // 10))
    start = time.perf_counter()
    await leader.end(how)
    async with asyncio.timeout(LIMIT_SECONDS):
        await standby.leads.wait()
    led = time.perf_counter() - start
    await seen.count(workers + 1)
    await asyncio.sleep(CALM_SECONDS)
    ever = await seen.end()
    await api.delete(DASK_CLUSTERS.path(where, name), made["metadata"]["uid"])
    await leader.start(where)
    both.reverse()
    return led, ever


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--workers", type=int, default=100)
    options = parser.parse_args()
    title = f"dask-k8s-controller on {os.environ.get('KUBECONFIG', '?')}"
    table = Table(
        "the leader gets",
        "the standby leads after: median",
        "longest",
        "pods that were ever there",
        title=title,
    )
    async with Api() as api, namespace(api, "bench-takeover") as where, pair(where) as both:
        for how, rounds in ((signal.SIGKILL, options.kills), (signal.SIGTERM, options.stops)):
            found = [await take_over(api, where, both, how, options.workers) for _ in range(rounds)]
            times, counts = zip(*found, strict=True)
            exact = sum(count == options.workers + 1 for count in counts)
            table.add_row(
                f"{how.name}, {rounds} times",
                f"{statistics.median(times):.2f} s",
                f"{max(times):.2f} s",
                f"{options.workers + 1} in {exact} of {rounds} rounds",
            )
    CONSOLE.print(table)


if __name__ == "__main__":
    asyncio.run(main())
