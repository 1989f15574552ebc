"""Starts controllers as forks of a process that has imported what the controller depends on. No pytest.

The imports are most of a start. The process runs this file as a script, with the number of a socket as its
argument, and ends when the other end is closed. Each fork imports the controller itself and its plugins.
"""

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, NoReturn, Self

PRELOADED = ("aiohttp", "aiohttp.web", "click", "kopf", "orjson", "yaml", "dask_k8s_crds.manifests")


class ForkedProcess:
    """A controller; it has the part of the interface of `subprocess.Popen` that tests use."""

    def __init__(self, stdout: IO[str], status: int) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = os.fdopen(status, "rb", buffering=0)
        self._lock = threading.Lock()
        self.pid = int(self._status.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()
        self._status.close()

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._exit_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code."""
        code = self._exit_code(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("dask-k8s-controller", timeout or 0)
        return code

    def send_signal(self, how: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, how)

    def _exit_code(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
                self.returncode = int(self._status.readline())
            return self.returncode


@cache
def _server() -> socket.socket:
    """Start the process, once per session."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        # As a script: the package would import what reads the environment when it is imported.
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def fork(arguments: Sequence[str], environment: Mapping[str, str]) -> ForkedProcess:
    """Start ``dask-k8s-controller`` with these arguments; its output goes to a pipe."""
    output, status = os.pipe(), os.pipe()
    request = {"arguments": [*arguments], "environment": {**environment}, "directory": str(Path.cwd())}
    socket.send_fds(_server(), [json.dumps(request).encode()], [output[1], status[1]])
    os.close(output[1])
    os.close(status[1])
    return ForkedProcess(os.fdopen(output[0], encoding="utf-8"), status[0])


def _serve(requests: socket.socket) -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 2)
        if not request:
            return
        if not os.fork():
            requests.close()
            _run(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _run(request: dict[str, object], output: int, status: int) -> NoReturn:
    """Run a controller in one more fork; write its pid and then its exit code to ``status``."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        os.close(output)
        os.write(status, f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(status, f"{code}\n".encode())
        os._exit(0)
    os.close(status)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]  # parsed JSON
    os.chdir(str(request["directory"]))
    sys.argv[1:] = request["arguments"]  # type: ignore[call-overload]  # parsed JSON
    runpy.run_module("dask_k8s_controller", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        _serve(requests)
