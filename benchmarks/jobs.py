"""Many jobs at once on any API server: are all done, and how long it takes, as a ratio to a raw client.

    nox -s bench -- jobs [--jobs 200] [--rounds 1]

Needs `KUBECONFIG` and nodes that run pods for nothing and end those of Jobs (kwok: label `type=kwok`, taint
`kwok.x-k8s.io/node`). The raw client is the controller's own session without the controller: it POSTs the
same objects. There are no workers: they come once the runner has a pod, and on a fake node that ends at once.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections import deque
from typing import Any

from raw import CONCURRENCY, JOBS, Made, all_made, post
from rich.table import Table
from scale import CONSOLE, Row, cluster, controller, cpu, memory, namespace, pod_spec

from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_JOBS, DASK_WORKER_GROUPS, PODS, SECRETS, SERVICES

CHILDREN = (DASK_CLUSTERS, SECRETS, SERVICES, PODS, DASK_WORKER_GROUPS, JOBS)
LIMIT_SECONDS = 600.0
ENDS = {"Successful", "Failed"}


def job(name: str, **spec: Any) -> dict[str, Any]:
    """Return a DaskJob whose pods go to fake nodes."""
    return {
        "apiVersion": DASK_JOBS.api_version,
        "kind": DASK_JOBS.kind,
        "metadata": {"name": name},
        "spec": {
            "job": {"spec": {**pod_spec("runner"), "restartPolicy": "Never"}},
            "cluster": {"spec": cluster(name, 0)["spec"]},
            **spec,
        },
    }


async def all_end(api: Api, where: str, number: int) -> dict[str, str]:
    """Wait until so many jobs have ended; return how, by name."""
    ends: dict[str, str] = {}
    async with asyncio.timeout(LIMIT_SECONDS):
        while len(ends) < number:
            async for event in api.watch(DASK_JOBS.path(where), idle_timeout=LIMIT_SECONDS):
                found = event["object"]
                word = (found.get("status") or {}).get("jobStatus")
                if word in ENDS:
                    ends[found["metadata"]["name"]] = word
                if len(ends) == number:
                    break
    return ends


async def sample(api: Api) -> list[Made]:
    """Return what the controller makes for one job, without what the server added."""
    async with namespace(api, "bench-sample") as where, controller(where):
        await api.create(DASK_JOBS.path(where), job("sample", clusterCleanup="Never"))
        await all_end(api, where, 1)
        found = await all_made(api, where, *CHILDREN)
    # The runner's pod is made by Kubernetes, with the controller and without.
    return [(resource, body) for resource, body in found if "-runner-" not in body["metadata"]["name"]]


async def left_over(api: Api, where: str) -> int:
    """Return how many clusters there are at last, which should be none."""
    for _ in range(100):
        left = len((await api.get(DASK_CLUSTERS.path(where)))["items"])
        if not left:
            break
        await asyncio.sleep(0.2)
    return left


async def raw(api: Api, made: list[Made], number: int) -> float:
    """Return the seconds that it takes to POST all objects of so many jobs."""
    async with namespace(api, "bench-raw") as where:
        waiting = deque(
            (resource, {**body, "metadata": {**body["metadata"], "name": _renamed(body, place)}})
            for place in range(number)
            for resource, body in made
        )
        start = time.perf_counter()
        await post(api, where, waiting)
        return time.perf_counter() - start


def _renamed(body: dict[str, Any], place: int) -> str:
    name: str = body["metadata"]["name"]
    return name.replace("sample", f"raw-{place}", 1)


async def ours(api: Api, number: int) -> tuple[float, list[Row]]:
    """Return the seconds until so many jobs, submitted at once, are done, and what was seen of them."""
    async with namespace(api, "bench-jobs") as where, controller(where) as process:
        used, start = cpu(process), time.perf_counter()
        waiting = deque((DASK_JOBS, job(f"job-{place}")) for place in range(number))
        ending = asyncio.create_task(all_end(api, where, number))
        await post(api, where, waiting)
        ends = await ending
        took = time.perf_counter() - start
        runners = (await api.get(JOBS.path(where)))["items"]
        left = await left_over(api, where)
        succeeded = sum(word == "Successful" for word in ends.values())
        rows = [
            ("jobs that succeeded", f"{succeeded} of {number}", ""),
            ("runners, clusters left over", f"{len(runners)}, {left}", ""),
            (
                "processor time of the controller",
                f"{(cpu(process) - used) * 1000 / number:.1f} ms",
                "per job",
            ),
            ("memory of the controller", f"{memory(process):.0f} MiB", ""),
        ]
    if (succeeded, len(runners), left) != (number, number, 0):
        raise SystemExit(f"of {number} jobs {succeeded} succeeded; {len(runners)} runners, {left} clusters")
    return took, rows


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    title = f"dask-k8s-job on {os.environ.get('KUBECONFIG', '?')}"
    table = Table("what", "measured", "ratio", title=title)
    base, took, rows = [], [], []
    async with Api() as api:
        made = await sample(api)
        for place in range(options.rounds):
            CONSOLE.print(f"{options.jobs} jobs, round {place + 1} of {options.rounds}", style="dim")
            base.append(await raw(api, made, options.jobs))
            seconds, rows = await ours(api, options.jobs)
            took.append(seconds)
    ratios = [mine / theirs for mine, theirs in zip(took, base, strict=True)]
    what = f"{options.jobs} x {len(made)} objects, raw client, {CONCURRENCY} at a time"
    table.add_row(what, " ".join(f"{each:.1f} s" for each in base), "")
    done = f"{options.jobs} jobs from their POST to their end"
    table.add_row(done, " ".join(f"{each:.1f} s" for each in took), f"{statistics.median(ratios):.1f} of raw")
    for row in rows:
        table.add_row(*row)
    CONSOLE.print(table)


if __name__ == "__main__":
    asyncio.run(main())
