"""What runs among the user's packages: schedulers, workers, and a client that does what a test says.

It forks a process for each line of JSON, so that distributed is imported once for all tests.
"""
# ruff: noqa: T201

import asyncio
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import dask.__main__
import dask.cli
import dask.config
import distributed.cli.dask_scheduler  # noqa: F401 - so that it is imported once, too
from distributed import Client, Worker, secede, wait  # noqa: F401 - tests use it


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


def short(record, number, *_, until):
    """Do as `hold`; tests configure how long this seems to take."""
    return hold(record, number, until=until)


def long(record, number, *_, until):
    """Do as `short`."""
    return hold(record, number, until=until)


def secede_and_hold(record, number, until):
    """Do as `hold`, without the thread of a worker."""
    secede()
    return hold(record, number, until=until)


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


def fork():
    """Fork a process for each line, and say its pid."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        kind, options = json.loads(line)
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            log = os.open(options.pop("log", os.devnull), os.O_WRONLY | os.O_CREAT)
            for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
                os.dup2(file, number)
            try:
                {"scheduler": scheduler, "worker": worker, "client": client}[kind](**options)
            except BaseException:  # noqa: BLE001 - the log has it
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(0)
        print(pid, flush=True)


def scheduler(arguments, environment):
    """Run `dask scheduler` with this configuration."""
    os.environ.clear()
    os.environ.update(environment)
    dask.config.refresh(paths=[environment["DASK_CONFIG"]])
    sys.argv = ["dask", "scheduler", *arguments]
    dask.__main__.main()


def worker(scheduler, **options):
    async def work():
        worker = Worker(scheduler, **options)
        await worker
        await worker.finished()

    asyncio.run(work())


def client(scheduler, folder, port):
    """Execute each line that arrives, and say what it has called `answer`."""
    namespace = globals()
    namespace |= {"client": Client(scheduler), "record": f"{folder}/record", "go": f"{folder}/go"}
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rw") as lines:
        for line in lines:
            namespace["answer"] = None
            try:
                exec(json.loads(line), namespace)
                print(json.dumps([namespace["answer"], None]), file=lines, flush=True)
            except Exception:  # noqa: BLE001 - the test raises it
                print(json.dumps([None, traceback.format_exc()]), file=lines, flush=True)


if __name__ == "__main__":
    fork()
