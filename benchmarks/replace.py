"""From "a pod is gone" to "its successor is there" on any API server, as ratios to a raw client's POST.

    nox -s bench -- replace [--workers 50] [--pods 200] [--schedulers 20]

Needs `KUBECONFIG`. Pods run on fake nodes where there are any (kwok: label `type=kwok`, taint
`kwok.x-k8s.io/node`), and wait for one elsewhere: who is replaced need not have run. All times are those of
one watch of this script: it shows that a pod is gone, and later its successor. In turn with that, the raw
client, the controller's own session without the controller, POSTs a pod, and the same watch shows it: nobody
can be faster than that. The controller turns to one object at most every 0.1 s, which is in the numbers.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rich.table import Table
from scale import CONSOLE, LIMIT_SECONDS, all_counted, cluster, controller, namespace, pod_spec

from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds import labels
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS

BAR_SECONDS = 1.0
CALM_SECONDS = 0.2
"""Between two measurements nothing happens for so long at most, half of it on average."""
RAW = "raw"

Row = tuple[str, str, str, str, str]


def spec(component: str) -> dict[str, Any]:
    """Return the spec of a pod that is gone as soon as it is deleted."""
    return {**pod_spec(component), "terminationGracePeriodSeconds": 0}


class Seen(NamedTuple):
    """What a watch showed of a pod: that it is there, or that it goes; and when."""

    there: bool
    component: str
    name: str
    uid: str
    time: float


@dataclass
class Watch:
    """The watch of all pods of a namespace."""

    api: Api
    where: str
    living: dict[str, Seen] = field(default_factory=dict)
    """By uid."""
    _events: asyncio.Queue[Seen] = field(default_factory=asyncio.Queue)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """See what there is, and what becomes of it."""
        listed = await self.api.get(PODS.path(self.where))
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._follow(listed["metadata"]["resourceVersion"]))
            yield
            watching.cancel()

    async def _follow(self, version: str) -> None:
        while True:
            async for event in self.api.watch(
                PODS.path(self.where), idle_timeout=LIMIT_SECONDS, resourceVersion=version
            ):
                now, metadata = time.perf_counter(), event["object"]["metadata"]
                version = metadata["resourceVersion"]
                there = event["type"] != "DELETED" and "deletionTimestamp" not in metadata
                component = metadata["labels"][labels.COMPONENT]
                seen = Seen(there, component, metadata["name"], metadata["uid"], now)
                known = seen.uid in self.living
                if there and not known:
                    self.living[seen.uid] = seen
                elif not there and known:
                    del self.living[seen.uid]
                if there is not known:
                    self._events.put_nowait(seen)

    async def next(self, component: str, *, there: bool) -> Seen:
        """Wait for the next pod of this component that is there, or goes."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                seen = await self._events.get()
                if (seen.component, seen.there) == (component, there):
                    return seen

    async def all_there(self, number: int) -> None:
        """Wait until there are so many pods, and forget how they came."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while len(self.living) < number:
                await self._events.get()
        while not self._events.empty():
            self._events.get_nowait()

    async def delete(self, pod: Seen) -> Seen:
        """Delete a pod; return when it was seen to go."""
        await self.api.delete(PODS.path(self.where, pod.name), pod.uid)
        return await self.next(pod.component, there=False)


async def replacement(watch: Watch, component: str) -> float:
    """Delete a pod of the cluster; return the seconds from when it was seen to go to its successor's."""
    pod = random.choice([each for each in watch.living.values() if each.component == component])
    gone = await watch.delete(pod)
    successor = await watch.next(component, there=True)
    return successor.time - gone.time


async def raw_post(watch: Watch) -> tuple[float, float]:
    """POST a pod; return the seconds until the answer, and until the watch showed it."""
    metadata = {"generateName": "raw-", "labels": {labels.COMPONENT: RAW}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec("worker")}
    start = time.perf_counter()
    await watch.api.create(PODS.path(watch.where), body)
    answered = time.perf_counter()
    seen = await watch.next(RAW, there=True)
    await watch.delete(seen)
    return answered - start, seen.time - start


async def measure(api: Api, options: argparse.Namespace) -> list[Row]:
    """Replace pods of one cluster one after the other, in turn with POSTs of the raw client."""
    body = cluster("replace", options.workers)
    for component in (labels.SCHEDULER, labels.WORKER):
        body["spec"][component]["spec"] = spec(component)
    answers, posts = [], []
    took: dict[str, list[float]] = {labels.WORKER: [], labels.SCHEDULER: []}
    turns = [labels.WORKER] * options.pods + [labels.SCHEDULER] * options.schedulers
    async with namespace(api, "bench-replace") as where, controller(where):
        watch = Watch(api, where)
        async with watch.open():
            await api.create(DASK_CLUSTERS.path(where), body)
            await all_counted(api, where, options.workers)
            await watch.all_there(options.workers + 1)
            for component in random.sample(turns, len(turns)):
                await asyncio.sleep(random.uniform(0, CALM_SECONDS))
                answered, seen = await raw_post(watch)
                answers.append(answered)
                posts.append(seen)
                await asyncio.sleep(random.uniform(0, CALM_SECONDS))
                took[component].append(await replacement(watch, component))
    shown = [seen - answered for answered, seen in zip(answers, posts, strict=True)]
    return [
        ("raw client: POST of a pod -> its answer", *_both(answers), "", ""),
        ("its answer -> the watch shows it", *_both(shown), "", ""),
        ("POST -> the watch shows it", *_both(posts), "1.0 / 1.0", ""),
        *(
            (f"{component} gone -> its successor is there", *_both(times), *_compared(times, posts))
            for component, times in took.items()
            if times
        ),
    ]


def p99(times: list[float]) -> float:
    """Return the 99th percentile."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def _both(times: list[float]) -> tuple[str, str]:
    return f"{statistics.median(times) * 1000:.1f} ms", f"{p99(times) * 1000:.1f} ms"


def _compared(times: list[float], base: list[float]) -> tuple[str, str]:
    ratios = (statistics.median(times) / statistics.median(base), p99(times) / p99(base))
    soon = sum(each <= BAR_SECONDS for each in times)
    return " / ".join(f"{ratio:.1f}" for ratio in ratios), f"{soon} of {len(times)}"


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--schedulers", type=int, default=20)
    options = parser.parse_args()
    title = f"dask-k8s-controller on {os.environ.get('KUBECONFIG', '?')}"
    bar = f"within {BAR_SECONDS:.0f} s"
    table = Table("what", "median", "p99", "of raw (median / p99)", bar, title=title)
    async with Api() as api:
        for row in await measure(api, options):
            table.add_row(*row)
    CONSOLE.print(table)


if __name__ == "__main__":
    asyncio.run(main())
