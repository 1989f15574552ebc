"""The server's side of the supervisor: starts processes, sends signals and waits. Knows no Kubernetes."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import dask_k8s_local
from dask_k8s_local.kubelet.runtime.cgroups import Cgroups
from dask_k8s_local.kubelet.runtime.mounts import Mount

_BOOT = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from dask_k8s_local.kubelet.runtime.supervisor import main; main()"
)
_PACKAGES = str(Path(dask_k8s_local.__file__).parents[1])
_STOP_SECONDS = 10.0
_READ_SIZE = 1 << 16


class CannotStart(Exception):
    """The command could not be executed; the message is that of a container runtime."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command to run. A `container` is a group of processes that ends with its `main` process."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    container: str
    main: bool = True
    tty: bool = False
    mounts: Sequence[Mount] = ()
    root: Path = field(default=Path("/nonexistent"))
    """An empty directory, needed for mounts."""
    memory: int | None = None
    """The memory limit in bytes."""


class Supervised:
    """A process that the supervisor has started."""

    def __init__(self, runtime: "Runtime", number: int) -> None:
        self._runtime = runtime
        self._number = number
        self.pid = 0
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Return the exit code, or 128 + n after signal n."""
        return await asyncio.shield(self.ended)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; SIGKILL is sent to its process group."""
        if not self.ended.done():
            self._runtime.send({"id": self._number, "signal": int(number)})

    def handle(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the supervisor about this process."""
        if error := message.get("error"):
            self.started.set_exception(CannotStart(error))
        elif "pid" in message:
            self.pid = message["pid"]
            self.started.set_result(None)
        else:
            code = message["exit"]
            self.ended.set_result(code if code >= 0 else 128 - code)


class Runtime:
    """A running supervisor; all its processes end with it."""

    def __init__(
        self, control: socket.socket, process: subprocess.Popen[bytes], groups: Cgroups | None
    ) -> None:
        self._groups = groups
        self._control = control
        self._process = process
        self._processes: dict[int, Supervised] = {}
        self._numbers = iter(range(1, sys.maxsize))
        self._buffer = b""
        self._outbox: list[tuple[bytes, Sequence[int]]] = []
        self._ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.has_mounts = False

    @classmethod
    async def start(cls, directory: Path) -> Self:
        """Start a supervisor, which removes the directory when it ends."""
        control, remote = socket.socketpair()
        control.settimeout(0)
        with remote:
            groups = Cgroups.find()
            arguments = (remote.fileno(), directory, groups.base if groups else "")
            argv = [sys.executable, "-I", "-S", "-c", _BOOT, _PACKAGES, *map(str, arguments)]
            process = subprocess.Popen(  # noqa: ASYNC220  # only forks
                argv, pass_fds=[remote.fileno()], start_new_session=True, cwd="/"
            )
        runtime = cls(control, process, groups)
        asyncio.get_running_loop().add_reader(control, runtime._receive)
        runtime.has_mounts = await runtime._ready
        return runtime

    async def spawn(self, command: Command, stdin: int, stdout: int, stderr: int) -> Supervised:
        """Start a process with these file descriptors; raises CannotStart."""
        number = next(self._numbers)
        process = self._processes[number] = Supervised(self, number)
        group = self._group(command)
        message = {
            "id": number,
            "argv": list(command.argv),
            "env": dict(command.env),
            "cwd": str(command.cwd),
            "container": command.container,
            "main": command.main,
            "tty": command.tty,
            "mounts": [*command.mounts, *self._view(group)],
            "cgroup": str(group or ""),
            "root": str(command.root),
        }
        self.send(message, (stdin, stdout, stderr))
        try:
            await asyncio.shield(process.started)
        except CannotStart:
            del self._processes[number]
            raise
        return process

    @property
    def has_cgroups(self) -> bool:
        """Return whether memory limits are enforced."""
        return self._groups is not None

    def was_out_of_memory(self, container: str) -> bool:
        """Remove the group of a container that has ended; return whether it ran out of memory."""
        return self._groups is not None and self._groups.remove(container)

    def _group(self, command: Command) -> Path | None:
        if self._groups is None or command.memory is None:
            return None
        if command.main:
            return self._groups.create(command.container, command.memory)
        return self._groups.base / command.container

    def _view(self, group: Path | None) -> list[Mount]:
        """Return a mount that shows programs their memory limit."""
        if self._groups is None or group is None or not self.has_mounts:
            return []
        return [(str(group), str(self._groups.visible_at), False)]

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send a message; the rest follows later if the socket is full."""
        self._outbox.append((json.dumps(message).encode() + b"\n", fds))
        self._flush()

    async def close(self) -> None:
        """Stop the supervisor and all its processes."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        loop.remove_writer(self._control)
        self._control.close()
        await asyncio.to_thread(self._process.wait, _STOP_SECONDS)

    def _flush(self) -> None:
        while self._outbox:
            data, fds = self._outbox[0]
            try:
                sent = socket.send_fds(self._control, [data], fds)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self._control, self._flush)
                return
            except OSError:  # closed; `_receive` gets the same error
                self._outbox.clear()
                return
            if sent < len(data):
                self._outbox[0] = (data[sent:], ())
            else:
                del self._outbox[0]
        asyncio.get_running_loop().remove_writer(self._control)

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = self._control.recv(_READ_SIZE)
            if not data:
                self._supervisor_lost()
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._handle(json.loads(line))

    def _handle(self, message: Mapping[str, Any]) -> None:
        if "mounts" in message:
            self._ready.set_result(message["mounts"])
            return
        process = self._processes[message["id"]]
        process.handle(message)
        if "exit" in message:
            del self._processes[message["id"]]

    def _supervisor_lost(self) -> None:
        """Handle the end of the supervisor, with which all processes have ended."""
        asyncio.get_running_loop().remove_reader(self._control)
        if not self._ready.done():
            self._ready.set_exception(RuntimeError("the supervisor of the containers did not start"))
        for process in self._processes.values():
            if not process.started.done():
                process.started.set_exception(CannotStart("the supervisor of the containers has ended"))
            elif not process.ended.done():
                process.ended.set_result(128 + signal.SIGKILL)
        self._processes.clear()
