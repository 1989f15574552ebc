"""What the client adds to the time that pods need, and how fast its port-forward is beside kubectl's.

    nox -s bench -- connect [--rounds 5] [--megabytes 200]

Needs `KUBECONFIG`, kubectl, and pods whose addresses can be reached from here, as on a node of the cluster.
The client takes itself to be outside, and forwards a port. The pods' own start is what the same objects need
when they are POSTed at once without a controller, and the scheduler is asked for a result at its own address.
A watch of this script shows when all pods are Ready; a worker's is so before its Python has begun, so the
time since a worker has come to the scheduler is shown, too. The same bytes go through both port-forwards in
turn, to and from one pod.
"""

import argparse
import asyncio
import json
import operator
import os
import socket
import statistics
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import NamedTuple

from distributed import Client
from raw import CLUSTER_CHILDREN, LIMIT_SECONDS, Made, address, all_made, post
from rich.table import Table
from scale import CONSOLE, controller, namespace

from dask_k8s_client import KubeCluster
from dask_k8s_client.api.requests import Api
from dask_k8s_client.api.watching import follow
from dask_k8s_client.connection.portforward import PROTOCOLS, PortForward
from dask_k8s_client.observed import is_ready
from dask_k8s_controller.runtime.api import Api as RawApi
from dask_k8s_crds import names
from dask_k8s_crds.resources import PODS

WORKERS = 2
PORT = 9999
CHUNK = 2**20

# Takes an order and a number of megabytes: d(own), u(p), c(ut off in the middle).
SERVER = f"""
import socket, struct, threading
def serve(s):
    order, n = s.recv(1).decode(), struct.unpack("!I", s.recv(4, socket.MSG_WAITALL))[0] * {CHUNK}
    if order == "u":
        while n:
            n -= len(s.recv(min(n, {CHUNK})))
        s.sendall(b"!")
    while n:
        s.sendall(bytes(min(n, {CHUNK})))
        n -= min(n, {CHUNK})
    if order == "c":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
server = socket.create_server(("0.0.0.0", {PORT}))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""

Row = tuple[str, str, str]


class Times(NamedTuple):
    """Seconds to a result: from the request, from Ready pods, from the first worker, from a name."""

    result: float
    after_ready: float
    after_worker: float
    again: float


async def start(raw: RawApi, api: Api, where: str, name: str) -> tuple[Times, list[Made]]:
    """Have a result from a new cluster, and another from the same one, found; how long, and what was made."""
    began = time.perf_counter()
    ready = asyncio.create_task(all_ready(api, where))
    async with KubeCluster(
        name=name, namespace=where, n_workers=WORKERS, asynchronous=True, quiet=True
    ) as cluster:
        result, after_worker = await first_result(cluster)
        pods = await ready
        again = time.perf_counter()
        async with KubeCluster.from_name(name, namespace=where, asynchronous=True, quiet=True) as found:
            again = (await first_result(found))[0] - again
        made = await all_made(raw, where, *CLUSTER_CHILDREN)
    return Times(result - began, result - pods, after_worker, again), made


async def by_hand(raw: RawApi, where: str, name: str, made: list[Made]) -> float:
    """Seconds that a cluster's objects need to the first result when nobody else has anything to do."""
    async with namespace(raw, f"{where}-{name}") as there:
        # Names of hosts have the namespace in them.
        objects = [
            (resource, json.loads(json.dumps(body).replace(f".{where}.", f".{there}.")))
            for resource, body in made
        ]
        began = time.perf_counter()
        posting = asyncio.create_task(post(raw, there, deque(objects)))
        host = await address(raw, there, names.scheduler(name))
        while True:
            try:
                _, writer = await asyncio.open_connection(host, names.SCHEDULER_PORT)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
        result, _ = await first_result(f"tcp://{host}:{names.SCHEDULER_PORT}")
        await posting
        return result - began


async def first_result(cluster: KubeCluster | str) -> tuple[float, float]:
    """Have something computed; when that was, and the seconds since there is a worker."""
    async with Client(cluster, asynchronous=True) as client:
        if await client.submit(operator.add, 1, 2) != 3:
            raise SystemExit("1 + 2 is not 3 here")
        done, clock = time.perf_counter(), time.time()
        events = await client.get_events("all")
    return done, clock - min(when for when, what in events if what.get("action") == "add-worker")


async def all_ready(api: Api, where: str) -> float:
    """Wait until all pods are Ready; when that was."""
    async with asyncio.timeout(LIMIT_SECONDS), aclosing(follow(api, PODS, where)) as worlds:
        async for world in worlds:
            if sum(map(is_ready, world.values())) == WORKERS + 1:
                break
    return time.perf_counter()


@asynccontextmanager
async def server(api: Api, where: str) -> AsyncIterator[str]:
    """Have a pod that gives and takes bytes; its name."""
    container = {"name": "bytes", "image": "ghcr.io/dask/dask:latest", "command": ["python", "-c", SERVER]}
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    spec = {"containers": [container | {"readinessProbe": probe}], "terminationGracePeriodSeconds": 0}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bytes"}, "spec": spec}
    await api.create(PODS, where, body)
    async with asyncio.timeout(LIMIT_SECONDS), aclosing(follow(api, PODS, where)) as worlds:
        async for world in worlds:
            if "bytes" in world and is_ready(world["bytes"]):
                break
    yield "bytes"
    await api.delete(PODS, where, "bytes")


@asynccontextmanager
async def ours(api: Api, where: str, pod: str) -> AsyncIterator[int]:
    """Forward a port as KubeCluster does; in this process, as there."""
    path = PODS.path(where, pod, "portforward")
    forward = PortForward(lambda: api.websocket(path, {"ports": str(PORT)}, PROTOCOLS))
    yield await forward.start()
    await forward.close()


@asynccontextmanager
async def kubectls(where: str, pod: str) -> AsyncIterator[int]:
    """Forward a port with kubectl, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        "kubectl", "port-forward", "-n", where, f"pod/{pod}", f":{PORT}",
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    line = await process.stdout.readline() if process.stdout else b""
    yield int(line.split()[2].rpartition(b":")[2])
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def transfer(port: int, order: str, megabytes: int) -> float:
    """Send an order and wait for its end; the seconds."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(order.encode() + megabytes.to_bytes(4))
        if order == "u":
            for _ in range(megabytes):
                sock.sendall(bytes(CHUNK))
        left = 1 if order == "u" else megabytes * CHUNK
        while left and (data := sock.recv(CHUNK)):
            left -= len(data)
        if left:
            raise ConnectionError(f"{left} bytes are missing")
        if order == "c" and sock.recv(1):
            raise ConnectionError("there is more than was sent")
    return time.perf_counter() - began


def cut(port: int) -> str:
    """Have the pod break a connection off: what becomes of it, and whether the next one works."""
    began = time.perf_counter()
    try:
        transfer(port, "c", 1)
        how = "looks whole"
    except OSError as error:
        how = type(error).__name__
    after = time.perf_counter() - began
    try:
        again = f"the next one works after {transfer(port, 'd', 1) * 1000:.0f} ms"
    except OSError as error:
        again = f"the next one does not work: {type(error).__name__}"
    return f"{how} after {after * 1000:.0f} ms, {again}"


async def forwards(api: Api, where: str, options: argparse.Namespace) -> list[Row]:
    """Compare the two port-forwards."""
    rows: list[Row] = []
    async with server(api, where) as pod, ours(api, where, pod) as own, kubectls(where, pod) as other:
        for order, what in (("d", "from the pod"), ("u", "to the pod")):
            rates: dict[int, list[float]] = {own: [], other: []}
            for _ in range(options.rounds):
                for port, found in rates.items():
                    took = await asyncio.to_thread(transfer, port, order, options.megabytes)
                    found.append(options.megabytes / took)
            mine, theirs = (statistics.median(found) for found in rates.values())
            rows.append(
                (f"port-forward, {what}", f"{mine:.0f} MiB/s", f"kubectl × {mine / theirs:.2f} (≥ 1)")
            )
        rows.append(("cut connection", await asyncio.to_thread(cut, own), ""))
        rows.append(("the same with kubectl", await asyncio.to_thread(cut, other), ""))
    return rows


async def starts(raw: RawApi, api: Api, where: str, rounds: int) -> list[Row]:
    """Measure starts and connections."""
    found, base = [], []
    for number in range(rounds):
        name = f"bench-{number}"
        times, made = await start(raw, api, where, name)
        await none_left(api, where)
        found.append(times)
        base.append(await by_hand(raw, where, name, made))
    mine, after_ready, after_worker, again = zip(*found, strict=True)
    return [
        (f"a cluster of {WORKERS} workers, by hand, to the first result", _seconds(base), ""),
        ("KubeCluster, to the first result", _seconds(mine), f"raw × {_ratio(mine, base):.2f}"),
        ("more than by hand", _seconds(_differences(mine, base)), "≤ 1 s"),
        ("from Ready pods to the first result", _seconds(after_ready), ""),
        ("from the first worker to the first result", _seconds(after_worker), ""),
        ("from_name, to the first result", _seconds(again), "≤ 1 s"),
    ]


def _differences(longer: Sequence[float], shorter: Sequence[float]) -> list[float]:
    return list(map(operator.sub, longer, shorter))


def _ratio(ours: Sequence[float], raw: Sequence[float]) -> float:
    return statistics.median(map(operator.truediv, ours, raw))


async def none_left(api: Api, where: str) -> None:
    """Wait until there are no pods."""
    async with asyncio.timeout(LIMIT_SECONDS), aclosing(follow(api, PODS, where)) as worlds:
        async for world in worlds:
            if not world:
                return


def _seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} s ({min(times):.2f} … {max(times):.2f})"


async def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    table = Table("what", "found", "aim", title=f"dask-k8s-client on {os.environ.get('KUBECONFIG', '?')}")
    warnings.filterwarnings("ignore", "Mismatched versions")
    api = await Api.connect()
    async with RawApi() as raw, namespace(raw, "bench-connect") as where, controller(where):
        for row in [*await forwards(api, where, options), *await starts(raw, api, where, options.rounds)]:
            table.add_row(*row)
    await api.close()
    CONSOLE.print(table)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
