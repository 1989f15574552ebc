"""The parent process of all containers, which stops them when the server ends for whatever reason.

Uses only the standard library, one thread and no asyncio, because it forks. Messages are lines of JSON on one
socket (see `client`). On Linux, it also reaps orphans. When the socket closes, it kills everything and
removes the directory.
"""

# ruff: noqa: PTH123  # pathlib doubles the start time

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import termios
import time
from typing import Any, NoReturn

from dask_k8s_local.kubelet.runtime import cgroups, mounts

CONTAINER_VARIABLE = "K8S_LOCAL_CONTAINER"
"""The environment variable that identifies the container of an orphan."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_SPAWN_FDS = 3
_MESSAGE_MAX = 1 << 20
_DRAIN_SECONDS = 5.0
_NOT_ON_PATH = "executable file not found in $PATH"

Message = dict[str, Any]


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Supervisor:
    """Starts, signals and reaps processes."""

    def __init__(self, control: socket.socket, directory: str) -> None:
        self._control = control
        self._directory = directory
        self._running: dict[int, Message] = {}
        self._buffer = b""
        self._fds: list[int] = []

    def serve(self) -> None:
        """Handle messages until the server closes the socket."""
        wakeup_read, wakeup_write = socket.socketpair()
        for end in (wakeup_read, wakeup_write):
            end.settimeout(0)
        signal.set_wakeup_fd(wakeup_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._send({"mounts": mounts.can_mount(self._directory)})
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(wakeup_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._control and not self._receive():
                        return
                    if key.fileobj is wakeup_read:
                        wakeup_read.recv(4096)
                self._reap()

    def drain(self) -> None:
        """Kill all processes and their orphans until none is left."""
        signal.set_wakeup_fd(-1)
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline:
            for pid in [*self._running, *self._orphans(set())]:
                _kill_group(pid, signal.SIGKILL)
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            self._running.pop(pid, None)
            if not pid:
                time.sleep(0.002)

    def _send(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # the server has ended; `serve` notices that, too
            self._control.sendall(json.dumps(message).encode() + b"\n")

    def _receive(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _MESSAGE_MAX, 64)
        except OSError:
            return False
        self._fds += fds
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._handle(json.loads(line))
        return bool(data)

    def _handle(self, message: Message) -> None:
        if "argv" in message:
            fds, self._fds = self._fds[:_SPAWN_FDS], self._fds[_SPAWN_FDS:]
            self._spawn(message, fds)
            return
        for pid, running in self._running.items():
            if running["id"] == message["id"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, message["signal"])
                if message["signal"] == signal.SIGKILL:
                    _kill_group(pid, signal.SIGKILL)

    def _spawn(self, message: Message, fds: list[int]) -> None:
        report, write_report = os.pipe()
        pid = os.fork()
        if not pid:
            _execute_in_child(message, fds, write_report)
        for fd in (*fds, write_report):
            os.close(fd)
        with open(report, "rb") as problem:  # a successful exec closes the pipe
            error = problem.read().decode()
        if error:
            os.waitpid(pid, 0)
            self._send({"id": message["id"], "error": error})
        else:
            self._running[pid] = message
            self._send({"id": message["id"], "pid": pid})

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                break
            _kill_group(pid, signal.SIGKILL)
            process = self._running.pop(pid, None)
            if process is None:
                continue
            if process["main"]:  # all processes of the container end with its main process
                for other, running in self._running.items():
                    if running["container"] == process["container"]:
                        _kill_group(other, signal.SIGKILL)
            self._send({"id": process["id"], "exit": os.waitstatus_to_exitcode(status)})
        for pid in self._orphans({running["container"] for running in self._running.values()}):
            _kill_group(pid, signal.SIGKILL)

    def _orphans(self, alive: set[str]) -> list[int]:
        """Return orphaned processes of containers that have ended."""
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", "rb") as children:
                pids = [int(pid) for pid in children.read().split()]
        except OSError:
            return []
        return [pid for pid in pids if pid not in self._running and _container_of(pid) not in alive]


def _container_of(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            variables = environ.read().split(b"\0")
    except OSError:
        return None
    prefix = f"{CONTAINER_VARIABLE}=".encode()
    return next(
        (variable[len(prefix) :].decode() for variable in variables if variable.startswith(prefix)), None
    )


def _kill_group(pid: int, number: int) -> None:
    for kill in (os.killpg, os.kill):  # an orphan can be in the process group of another process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, number)


def _execute_in_child(message: Message, fds: list[int], report: int) -> NoReturn:
    """Execute the command in the forked child; write the error to the pipe on failure."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        if message["tty"]:
            fcntl.ioctl(fds[0], termios.TIOCSCTTY, 0)
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        cgroups.join(message["cgroup"])
        env = {**message["env"], CONTAINER_VARIABLE: message["container"]}
        if message["mounts"]:
            mounts.enter(message["mounts"], message["root"])
        _change_directory(message["cwd"])
        _execute(message["argv"], env)
    except BaseException as error:  # noqa: BLE001  # the child must never return to the supervisor's loop
        os.write(report, str(error).encode()[:4096] or b"unknown error")
    os._exit(127)


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise RuntimeError(f'chdir to cwd ("{path}") failed: {_reason(error)}') from None


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    program = argv[0]
    try:
        os.execvpe(program, argv, env)  # noqa: S606  # runs the user's command
    except FileNotFoundError:
        missing = f"stat {program}: no such file or directory" if "/" in program else _NOT_ON_PATH
        raise RuntimeError(f'exec: "{program}": {missing}') from None
    except OSError as error:
        raise RuntimeError(f'exec: "{program}": {_reason(error)}') from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def main() -> None:
    """Run the supervisor; arguments are the socket's number, the directory, and the control group or ''."""
    control, directory, group = socket.socket(fileno=int(sys.argv[1])), *sys.argv[2:]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the server stops it, by closing the socket
    supervisor = Supervisor(control, directory)
    try:
        supervisor.serve()
    finally:
        supervisor.drain()
        cgroups.remove_all(group)
        shutil.rmtree(directory, ignore_errors=True)
