"""The controller as a process, which may be killed and started again."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

DEADLINE = 120
"""Seconds for anything that is awaited."""


class Controller:
    """``dask-k8s-controller run`` with these options; ``log`` holds the lines of all its lives."""

    def __init__(self, kubeconfig: Path, *options: str) -> None:
        # An address of its own: a port that is free now may be taken while the controller is down.
        address = "127.{}.{}.{}:9440".format(*(random.randrange(64, 255) for _ in range(3)))
        run = [sys.executable, "-m", "dask_k8s_controller", "run"]
        self._command = [*run, "--health-address", address, *options]
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self.address = address
        self._health = f"http://{address}"
        self._told = threading.Condition()
        self.log: list[str] = []

    def start(self, *, ready: bool = True) -> None:
        self._begun = len(self.log)
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if ready:
            self.says("Ready")

    def kill(self) -> None:
        """As when the node is lost: no word of farewell."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def says(self, words: str, timeout: int = DEADLINE) -> str:
        """Wait for a line of the log since the last start."""

        def line() -> str | None:
            return next((line for line in self.log[self._begun :] if words in line), None)

        with self._told:
            self._told.wait_for(lambda: line() or not self._reader.is_alive(), timeout)
        if (found := line()) is None:
            pytest.fail(f"the controller never said {words!r}:\n{''.join(self.log)}")
        return found

    def health(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self._health + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def until_health(self, path: str, status: int, timeout: int = DEADLINE) -> None:
        """Ask as a kubelet does, time and again."""
        deadline = time.monotonic() + timeout
        while (found := self.health(path))[0] != status:
            if time.monotonic() > deadline:
                pytest.fail(f"{path} is {found}:\n{''.join(self.log)}")
            time.sleep(0.1)

    def _end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(timeout=DEADLINE)
        self._reader.join()
        return code

    def _read(self) -> None:
        with self.process.stdout:
            for line in self.process.stdout:
                with self._told:
                    self.log.append(line)
                    self._told.notify_all()
