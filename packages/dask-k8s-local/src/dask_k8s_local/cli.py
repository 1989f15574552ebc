"""The command line: `dask-k8s-local up`, `status` and `down`.

Contains arguments, messages and exit codes; the server itself is in `server`.
"""

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from dask_k8s_local.kubeconfig import ForeignKubeconfig, check
from dask_k8s_local.network.addresses import NoLoopback
from dask_k8s_local.state import AlreadyRunning, Running, State

_STOP_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="dask-k8s-local",
        description="A small Kubernetes in one Python process, for laptops and tests. Not for production.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('dask-k8s-local')}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start the cluster and stay in the foreground until Ctrl-C")
    up.add_argument("--detach", action="store_true", help="start the cluster in the background")
    up.add_argument("--kubeconfig", type=Path, metavar="FILE", help="where to write the kubeconfig")
    up.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)  # see `_detach`
    verbs.add_parser("status", help="show whether the cluster is running (exit code 0) or not (1)")
    verbs.add_parser("down", help="stop the cluster and all its pods")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "status":
            return _status()
        if chosen.verb == "down":
            return _down()
        path = (chosen.kubeconfig or State().kubeconfig).absolute()
        check(path)
        return _detach(path) if chosen.detach else asyncio.run(_up(path, chosen.ready_fd))
    except (ForeignKubeconfig, NoLoopback) as error:
        return _fail(str(error))
    except AlreadyRunning:
        running = State().running()
        who = f" (process {running.pid})" if running else ""
        return _fail(f"the cluster is already running{who}; stop it with `dask-k8s-local down`")


async def _up(path: Path, ready_fd: int | None) -> int:
    from dask_k8s_local.server import LocalKubernetes  # noqa: PLC0415  # takes half a second; only `up` needs it

    state, stop = State(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    with state.hold():
        async with LocalKubernetes(kubeconfig=path) as here:
            state.publish(Running(os.getpid(), here.url, str(path), sys.prefix))
            if ready_fd is None:
                print(_greeting(path))
                print("\nPress Ctrl-C to stop the cluster and all its pods.", flush=True)
            else:
                with os.fdopen(ready_fd, "w") as ready:
                    ready.write("up")
            waits = [asyncio.ensure_future(event.wait()) for event in (stop, here.failed)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if here.failed.is_set():
                return _fail("the server has stopped because of a bug; see the traceback above")
            if ready_fd is None:
                print("\nStopping all pods.", flush=True)
    return 0


def _detach(path: Path) -> int:
    state = State()
    if state.running():
        raise AlreadyRunning
    state.directory.mkdir(parents=True, exist_ok=True)
    read, write = os.pipe()
    command = [sys.executable, "-m", "dask_k8s_local.cli", "up", "--kubeconfig", str(path)]
    with state.log.open("w") as log:
        process = subprocess.Popen(
            [*command, "--ready-fd", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write],
            start_new_session=True,
        )
    os.close(write)
    with os.fdopen(read, "rb") as ready:
        if not ready.read():
            return _fail(
                f"the server did not start (exit code {process.wait()}):\n{state.log.read_text().rstrip()}"
            )
    print(_greeting(path))
    print("\nStop the cluster and all its pods with `dask-k8s-local down`.")
    return 0


def _status() -> int:
    running = State().running()
    if running is None:
        print("dask-k8s-local is not running.")
        return 1
    print(f"dask-k8s-local is running (process {running.pid}) at {running.url}; pods run in {running.prefix}")
    print(f"\n    export KUBECONFIG={running.kubeconfig}")
    return 0


def _down() -> int:
    state = State()
    running = state.running()
    if running is None:
        print("dask-k8s-local is not running.")
        return 0
    if not state.stop(running, _STOP_SECONDS):
        return _fail(f"process {running.pid} did not stop; see {state.log}")
    print("dask-k8s-local and all its pods have stopped.")
    return 0


def _greeting(path: Path) -> str:
    return (
        f"A small Kubernetes in one process, for laptops and tests. Not for production.\n"
        f"Images are ignored: pods run in {sys.prefix} (Python {platform.python_version()}).\n\n"
        f"    export KUBECONFIG={path}"
    )


def _fail(message: str) -> int:
    print(f"dask-k8s-local: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
