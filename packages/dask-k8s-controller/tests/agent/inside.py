"""What runs among the user's packages: workers, and a client that does what a test says.

Called as `inside.py workers` or `inside.py client SCHEDULER FOLDER`; requests and answers are lines of JSON.
"""
# ruff: noqa: T201

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import dask
from distributed import Client, Worker, wait  # noqa: F401 - tests use it


def make(record, number, size=1000):
    """Return some data, and leave a trace of having been executed."""
    with Path(record).open("a") as file:
        file.write(f"make {number}\n")
    return bytes(size)


def hold(record, number, *_, until):
    """Execute until a file appears."""
    with Path(record).open("a") as file:
        file.write(f"hold {number}\n")
    while not Path(until).exists():
        time.sleep(0.01)
    return number


def total(record, number, *parts):
    """Return the size of what other tasks made."""
    with Path(record).open("a") as file:
        file.write(f"total {number}\n")
    return sum(map(len, parts))


def submit_slow_graph(client, until):
    """Submit a graph that the scheduler cannot unpack until a file appears."""
    here = os.getpid()

    def priority(_key):
        while os.getpid() != here and not Path(until).exists():
            time.sleep(0.01)
        return 0

    with dask.annotate(priority=priority):
        slow = dask.delayed(int)("7")
    return client.compute(slow, optimize_graph=False)


def wait_for_workers(client, count):
    """Wait until the scheduler has so many workers; `Client.wait_for_workers` does not count all of them."""

    async def until(dask_scheduler):
        while len(dask_scheduler.workers) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    client.run_on_scheduler(until)


def pause(status, dask_worker):
    """Do as a worker does whose memory is full, or has room again; it will not look at its memory itself."""
    dask_worker.memory_manager.memory_pause_fraction = False
    dask_worker.status = type(dask_worker.status)[status]


class Counter:
    """An actor."""

    value = 0

    def add(self):
        self.value += 1
        return self.value


def workers():
    """Fork a worker for each line, and say its pid."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            asyncio.run(work(**json.loads(line)))
            os._exit(0)
        print(pid, flush=True)


async def work(scheduler, **options):
    worker = Worker(scheduler, **options)
    await worker
    await worker.finished()


def client():
    """Execute each line, and say what it has called `answer`."""
    namespace = globals()
    address, folder = sys.argv[2:]
    namespace |= {"client": Client(address), "record": f"{folder}/record", "go": f"{folder}/go"}
    for line in sys.stdin:
        namespace["answer"] = None
        try:
            exec(json.loads(line), namespace)
            print(json.dumps([namespace["answer"], None]), flush=True)
        except Exception:  # noqa: BLE001 - the test raises it
            print(json.dumps([None, traceback.format_exc()]), flush=True)


if __name__ == "__main__":
    {"workers": workers, "client": client}[sys.argv[1]]()
