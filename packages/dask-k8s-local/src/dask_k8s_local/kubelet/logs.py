"""Logs of containers: files with a line per line and the time of each, as a container runtime writes them."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dask_k8s_local.kubelet.protocol import LogOptions

_LINE_MAX = 16 * 1024  # a longer one is written in pieces, marked P for partial and F for the final one
_STAMP = len("2026-01-01T00:00:00.000000000Z")
_FALLBACK_LINES = 80
_FALLBACK_BYTES = 2048


class Log:
    """The log of one container from its start to its end."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._pipes: set[asyncio.BaseTransport] = set()
        self._grown: set[asyncio.Event] = set()
        self.complete = asyncio.Event()

    async def pipe(self) -> int:
        """Return a file descriptor for the container to write to; what comes is written down."""
        read, write = os.pipe()
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.connect_read_pipe(lambda: _Stream(self), os.fdopen(read, "rb", buffering=0))
        self._pipes.add(pipe)
        return write

    def write(self, lines: Iterable[tuple[bytes, bool]]) -> None:
        """Append lines; False marks one that goes on in the next."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        text = b"".join(b"%s %s %s\n" % (now, b"F" if full else b"P", line) for line, full in lines)
        if text and not self._file.closed:
            self._file.write(text)
            self._wake()

    def forget(self, pipe: asyncio.BaseTransport) -> None:
        """Note that a pipe was closed; with the last one the log is complete."""
        self._pipes.discard(pipe)
        if not self._pipes:
            self.close()

    def close(self) -> None:
        """Let nothing more be written."""
        self._file.close()
        self.complete.set()
        for pipe in self._pipes:
            pipe.close()
        self._wake()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log as `pods/log` is asked for it; with `follow` until it is complete."""
        grown = asyncio.Event()
        self._grown.add(grown)
        left = options.limit_bytes
        try:
            with self.path.open("rb") as file:
                chosen: Iterable[bytes] = _since(file, options.since_seconds)
                if options.tail_lines is not None:
                    chosen = deque(chosen, maxlen=options.tail_lines)
                while True:
                    data = b"".join(_shown(line, timestamps=options.timestamps) for line in chosen)
                    if left is not None:
                        data, left = data[:left], left - len(data[:left])
                    if data:
                        yield data
                    done = self.complete.is_set() and not grown.is_set()
                    if done or not options.follow or left == 0:
                        return
                    await grown.wait()
                    grown.clear()
                    chosen = file
        finally:
            self._grown.discard(grown)

    def tail(self) -> str:
        """Return the end of the log, as a message for why the container ended."""
        with self.path.open("rb") as file:
            lines = deque(file, maxlen=_FALLBACK_LINES)
        text = b"".join(_shown(line, timestamps=False) for line in lines)
        return text[-_FALLBACK_BYTES:].decode(errors="replace")

    def _wake(self) -> None:
        for event in self._grown:
            event.set()


class _Stream(asyncio.Protocol):
    """What a container writes to stdout or stderr, cut into lines."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._rest = b""
        self._pipe: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pipe = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._log.write(piece for line in lines for piece in _pieces(line))
        if len(self._rest) > _LINE_MAX:
            *full, (self._rest, _) = _pieces(self._rest)
            self._log.write(full)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # a pipe ends in one way only
        if self._rest:
            self._log.write([(self._rest, False)])
        if self._pipe:
            self._log.forget(self._pipe)


def _pieces(line: bytes) -> Iterator[tuple[bytes, bool]]:
    for start in range(0, len(line) or 1, _LINE_MAX):
        yield line[start : start + _LINE_MAX], start + _LINE_MAX >= len(line)


def _since(lines: Iterable[bytes], seconds: float | None) -> Iterator[bytes]:
    if seconds is None:
        yield from lines
        return
    oldest = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f").encode()
    yield from (line for line in lines if line >= oldest)


def _shown(line: bytes, *, timestamps: bool) -> bytes:
    """Turn a line of the file into one of the answer."""
    stamp, full, text = line[:_STAMP], line[_STAMP + 1 : _STAMP + 2] == b"F", line[_STAMP + 3 :]
    text = text if full else text.removesuffix(b"\n")
    return stamp + b" " + text if timestamps else text
