"""The one server of a user, found again by `status` and `down`: a locked file says who and where it is."""

from __future__ import annotations

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
    """Another server of this user runs."""


@dataclass(frozen=True)
class Running:
    """A server as `status` shows it."""

    pid: int
    url: str
    kubeconfig: str
    prefix: str
    """The Python environment in which pods run."""


class State:
    """The directory with the server's files; the lock, which ends with its process, tells the truth."""

    def __init__(self) -> None:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self.directory = Path(base) / "dask-k8s-local"
        self.kubeconfig = self.directory / "kubeconfig"
        self.log = self.directory / "server.log"
        self._file = self.directory / "server.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the one server; raises AlreadyRunning."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._file.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning from None
            file.truncate(0)  # what a killed one has left
            try:
                yield
            finally:
                file.truncate(0)

    def tell(self, running: Running) -> None:
        """Let others find the server; by whoever holds the state."""
        self._file.write_text(json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """Return the server that runs, if one does."""
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
        """End the server, as Ctrl-C does; tell whether it has ended in time."""
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.running() is None:
                return True
            time.sleep(_POLL_SECONDS)
        return False
