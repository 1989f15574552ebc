"""The record of the running server, a locked JSON file with which `status` and `down` find it.

There is one server per user. This module starts no server.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_POLL_SECONDS = 0.05


class AlreadyRunning(Exception):
    """Another server of this user is running."""


@dataclass(frozen=True)
class Running:
    """A server as `status` shows it."""

    pid: int
    url: str
    kubeconfig: str
    prefix: str
    """The Python environment in which pods run."""


class State:
    """The directory with the server's files.

    A server is running if the file is locked: the kernel releases the lock when the process ends.
    """

    def __init__(self) -> None:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self.directory = Path(base) / "dask-k8s-local"
        self.kubeconfig = self.directory / "kubeconfig"
        self.log = self.directory / "server.log"
        self._file = self.directory / "server.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock of the running server; raises AlreadyRunning."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning from None
            file.truncate(0)  # left over from a server that was killed
            try:
                yield
            finally:
                file.truncate(0)

    def publish(self, running: Running) -> None:
        """Write how to find the server; the caller holds the lock."""
        self._file.write_text(json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """Return the running server, if there is one."""
        try:
            with self._file.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read()
                    return Running(**json.loads(text)) if text else None
        except FileNotFoundError:
            pass
        return None

    def stop(self, running: Running, seconds: float) -> bool:
        """Stop the server as Ctrl-C does; return whether it stopped in time."""
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.running() is None:
                return True
            time.sleep(_POLL_SECONDS)
        return False
