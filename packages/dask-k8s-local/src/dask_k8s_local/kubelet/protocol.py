"""The interface between API server and kubelet: logs, connections and commands. Contains types only."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Pod = dict[str, Any]


class PodUnavailable(Exception):
    """The pod, container or port is not available; the message is for the user."""


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """The parameters of `pods/log`."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_seconds: float | None = None
    """Also used for `sinceTime`."""


class Process(Protocol):
    """A command that runs in a container; with a terminal, there is no separate stderr."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    async def wait(self) -> int:
        """Return the exit code."""

    def kill(self) -> None:
        """Kill the command."""

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal, if there is one."""


class Kubelet(Protocol):
    """The kubelet's side of `pods/log`, `pods/portforward` and `pods/exec`; methods raise PodUnavailable."""

    def logs(self, pod: Pod, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log of a container in chunks; with `follow` until the container ends."""

    async def dial(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of the pod."""

    async def exec(
        self, pod: Pod, container: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> Process:
        """Start a command in a container."""
