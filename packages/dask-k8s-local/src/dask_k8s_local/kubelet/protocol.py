"""What the API asks of the kubelet: logs, connections and commands of a pod. Types only."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Pod = dict[str, Any]


class PodUnavailable(Exception):
    """The pod, container or port cannot serve what was asked; the message is for the user."""


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """Query of `pods/log`, with Kubernetes' own names."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_seconds: float | None = None  # sinceTime is translated to it


class Process(Protocol):
    """A command that runs in a container; with tty there is no stderr of its own."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    async def wait(self) -> int:
        """Return the exit code."""

    def kill(self) -> None:
        """End it: its client has gone."""

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, if it has one."""


class Kubelet(Protocol):
    """The node's side of `pods/log`, `pods/portforward` and `pods/exec`. Refusals raise PodUnavailable."""

    def logs(self, pod: Pod, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the log of a container, in pieces of any size; with `follow` until the container ends."""

    async def dial(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port of the pod."""

    async def exec(
        self, pod: Pod, container: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> Process:
        """Start a command in a container."""
