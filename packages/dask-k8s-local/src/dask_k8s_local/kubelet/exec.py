"""Commands in running containers, for `pods/exec`, probes and hooks, with pipes or a terminal."""

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Sequence
from typing import Protocol, Self

from dask_k8s_local.kubelet.protocol import PodUnavailable
from dask_k8s_local.kubelet.runtime.client import CannotStart, Supervised

Standard = tuple[int, int, int]
"""File descriptors of stdin, stdout and stderr."""


class Executor(Protocol):
    """A container in which commands can be started."""

    async def execute(self, argv: Sequence[str], standard: Standard, *, tty: bool) -> Supervised:
        """Start a command; raises CannotStart."""


class Execution:
    """A running command with its streams; implements `protocol.Process`."""

    def __init__(self) -> None:
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._process: Supervised | None = None
        self._terminal: int | None = None

    @classmethod
    async def start(cls, container: Executor, argv: Sequence[str], *, stdin: bool, tty: bool) -> Self:
        """Start a command; raises PodUnavailable."""
        self = cls()
        theirs = await (self._open_terminal() if tty else self._open_pipes(stdin=stdin))
        try:
            self._process = await container.execute(argv, theirs, tty=tty)
        except CannotStart as error:
            self.close()
            raise PodUnavailable(str(error)) from None
        finally:
            for fd in set(theirs):
                os.close(fd)
        return self

    async def wait(self) -> int:
        """Return the exit code."""
        assert self._process  # noqa: S101  # set by `start`
        code = await self._process.wait()
        self._terminal = None
        return code

    def kill(self) -> None:
        """Kill the command."""
        if self._process:
            self._process.signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close standard input."""
        if self.stdin:
            self.stdin.close()

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal."""
        if self._terminal is not None:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def _open_pipes(self, *, stdin: bool) -> Standard:
        inputs = os.open(os.devnull, os.O_RDONLY)
        if stdin:
            os.close(inputs)
            inputs, writable = os.pipe()
            self.stdin = await _writer(writable)
        out, outputs = os.pipe()
        err, errors = os.pipe()
        self.stdout, self.stderr = await _reader(out), await _reader(err)
        return inputs, outputs, errors

    async def _open_terminal(self) -> Standard:
        self._terminal, theirs = os.openpty()
        self.stdin = await _writer(os.dup(self._terminal))
        self.stdout = await _reader(self._terminal)
        return theirs, theirs, theirs


async def output_of(container: Executor, argv: Sequence[str]) -> tuple[int, str]:
    """Run a command in a container; return its exit code and output."""
    try:
        command = await Execution.start(container, argv, stdin=False, tty=False)
    except PodUnavailable as error:
        return 126, str(error)
    try:
        streams = [stream.read() for stream in (command.stdout, command.stderr) if stream]
        output = b"".join(await asyncio.gather(*streams))
        return await command.wait(), output.decode(errors="replace")
    finally:
        command.kill()


class _Output(asyncio.StreamReaderProtocol):
    """The read side of a pipe or terminal; treats EIO at the end of a terminal as EOF."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._output = reader

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None if isinstance(exc, OSError) else exc)


async def _reader(fd: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: _Output(reader), os.fdopen(fd, "rb", buffering=0))
    return reader


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "wb", buffering=0)
    )
    return asyncio.StreamWriter(transport, protocol, reader, loop)
