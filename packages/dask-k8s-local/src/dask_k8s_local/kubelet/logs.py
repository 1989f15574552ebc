"""Container logs: files in which each line has its time, as container runtimes write them. Knows no pods."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dask_k8s_local.kubelet.protocol import LogOptions

_LINE_MAX = 16 * 1024
"""Longer lines are written in pieces, marked P (partial) and F (final)."""
_STAMP = len("2026-01-01T00:00:00.000000000Z")
_FALLBACK_LINES = 80
_FALLBACK_BYTES = 2048


class Log:
    """The log of one run of a container."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._pipes: set[asyncio.BaseTransport] = set()
        self._grown: set[asyncio.Event] = set()
        self.complete = asyncio.Event()

    async def pipe(self) -> int:
        """Return a file descriptor that the container can write to."""
        read, write = os.pipe()
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.connect_read_pipe(lambda: _Stream(self), os.fdopen(read, "rb", buffering=0))
        self._pipes.add(pipe)
        return write

    def write(self, lines: Iterable[tuple[bytes, bool]]) -> None:
        """Append lines; False marks a partial line."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        text = b"".join(b"%s %s %s\n" % (now, b"F" if full else b"P", line) for line, full in lines)
        if text and not self._file.closed:
            self._file.write(text)
            self._notify_readers()

    def forget(self, pipe: asyncio.BaseTransport) -> None:
        """Remove a closed pipe; the log is complete when all are closed."""
        self._pipes.discard(pipe)
        if not self._pipes:
            self.close()

    def close(self) -> None:
        """Close the log for writing."""
        self._file.close()
        self.complete.set()
        for pipe in self._pipes:
            pipe.close()
        self._notify_readers()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log in chunks; with `follow` until it is complete."""
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
        """Return the end of the log, as a termination message."""
        with self.path.open("rb") as file:
            lines = deque(file, maxlen=_FALLBACK_LINES)
        text = b"".join(_shown(line, timestamps=False) for line in lines)
        return text[-_FALLBACK_BYTES:].decode(errors="replace")

    def _notify_readers(self) -> None:
        for event in self._grown:
            event.set()


class _Stream(asyncio.Protocol):
    """Splits the output of a container into lines."""

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

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # there is only one reason
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
    """Convert a line of the file to a line of the response."""
    stamp, full, text = line[:_STAMP], line[_STAMP + 1 : _STAMP + 2] == b"F", line[_STAMP + 3 :]
    text = text if full else text.removesuffix(b"\n")
    return stamp + b" " + text if timestamps else text
