"""The controller as a process that tests start, kill and restart. No pytest."""

import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Any, Self

import yaml

from dask_k8s_controller.testing.fork_server import ForkedProcess, fork

DEADLINE = 120.0
"""Seconds to wait for anything."""
FORKS = sys.platform == "linux"
"""Whether `fork_server` works here."""
SHARED_NAMESPACES = 8
"""How many namespaces a `SharedController` serves: one for a test, the others while they are deleted."""


def command_output(*arguments: str) -> str:
    """Return what ``dask-k8s-controller`` prints with these arguments."""
    if not FORKS:
        return subprocess.check_output([sys.executable, "-m", "dask_k8s_controller", *arguments], text=True)
    with fork(arguments, environ) as process:
        output = process.stdout.read()
    if process.returncode:
        raise AssertionError(f"dask-k8s-controller {' '.join(arguments)} failed:\n{output}")
    return output


def load_manifests(text: str) -> list[dict[str, Any]]:
    """Return the documents of ``manifests``; in pure Python, parsing the CRDs takes seconds."""
    return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class ControllerProcess:
    """``dask-k8s-controller run`` with some options, with the plugins that ``python`` has installed.

    The end of the context stops it, and fails if it exits with an error or has logged a traceback.
    ``address`` is its health address, ``log`` has all lines since the first start.
    """

    process: "subprocess.Popen[str] | ForkedProcess"

    def __init__(
        self,
        kubeconfig: Path,
        *options: str,
        python: str | Path = sys.executable,
        forks: bool = FORKS,
    ) -> None:
        """Prepare a process; with ``forks``, `fork_server` starts it unless ``python`` is another one."""
        # A port of 127.0.0.1 could be taken by others while the controller is down.
        host = "127.{}.{}.{}".format(*(random.randrange(64, 255) for _ in range(3)))
        self.address = f"{host if sys.platform == 'linux' else '127.0.0.1'}:{random.randrange(9000, 30000)}"
        self._arguments = ("run", "--health-address", self.address, *options)
        self._python = str(python)
        self._forks = forks and self._python == sys.executable
        self._environment = {**environ, "KUBECONFIG": str(kubeconfig)}
        self._logged = threading.Condition()
        self.log: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        code = self.stop() if self.process.poll() is None else 0
        log = "".join(self.log)
        sys.stdout.write(log)  # pytest shows it with a test that failed
        if code or "Traceback" in log:
            raise AssertionError(f"the controller failed with exit code {code}:\n{log}")

    def start(self, *, ready: bool = True) -> None:
        """Start it; by default, wait until it is ready."""
        self._begun = len(self.log)
        self._ended = False
        if self._forks:
            self.process = fork(self._arguments, self._environment)
        else:
            self.process = subprocess.Popen(
                [self._python, "-m", "dask_k8s_controller", *self._arguments],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if ready:
            self.wait_for_log("Ready")

    def kill(self) -> None:
        """End it without a chance to clean up, as when its node is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Kubernetes does; return its exit code."""
        return self._end(signal.SIGTERM)

    def wait_for_log(self, text: str) -> str:
        """Return the first line with this text since the last start; kill the controller if none comes."""

        def line() -> str | None:
            return next((line for line in self.log[self._begun :] if text in line), None)

        with self._logged:
            self._logged.wait_for(lambda: line() or self._ended, DEADLINE)
        if (found := line()) is None:
            self.kill()
            raise AssertionError(f"the controller never logged {text!r}:\n{''.join(self.log)}")
        return found

    def health(self, path: str) -> tuple[int, str]:
        """Return status and body of ``/livez``, ``/readyz`` or ``/metrics``."""
        try:
            with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for_health(self, path: str, status: int, body: str | None = None) -> None:
        """Ask again and again, as a kubelet does, until the answer has this status, and ``body`` if set."""
        deadline = time.monotonic() + DEADLINE
        while (found := self.health(path))[0] != status or body not in (None, found[1]):
            if time.monotonic() > deadline:
                raise AssertionError(f"{path} is {found}:\n{''.join(self.log)}")
            time.sleep(0.1)

    def _end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(timeout=DEADLINE)
        self._reader.join()
        return code

    def _read(self) -> None:
        with self.process as process:
            for line in process.stdout or ():
                with self._logged:
                    self.log.append(line)
                    self._logged.notify_all()
        with self._logged:
            self._ended = True
            self._logged.notify_all()


class SharedController(ControllerProcess):
    """A controller for many tests, each in a new namespace.

    A controller is started with the names of its namespaces. These are few: a test creates a namespace
    of one of these names, and the name is used again after the namespace has been deleted. ``kubectl`` is
    that of dask-k8s-local.
    """

    def __init__(self, kubeconfig: Path, kubectl: Any) -> None:
        self._kubectl = kubectl
        session = uuid.uuid4().hex[:6]
        self._names = deque(f"shared-{session}-{number}" for number in range(SHARED_NAMESPACES))
        # The one of the session that starts as users start it.
        super().__init__(kubeconfig, *(f"--namespace={name}" for name in self._names), forks=False)

    @contextmanager
    def new_namespace(self) -> Iterator[str]:
        """Create a namespace that the controller serves; at the end, start to delete it and check the log."""
        name = self._names.popleft()
        here = self._kubectl.within(name)
        here.wait(f"namespace/{name}", "delete")  # of the test that used the name before
        logged = len(self.log)
        try:
            with self._kubectl.new_namespace(name):
                yield name
        finally:
            self._names.append(name)
            log = "".join(self.log[logged:])
            sys.stdout.write(log)  # pytest shows it with a test that failed
        if self.process.poll() is not None or "Traceback" in log:
            raise AssertionError(f"the controller failed:\n{log}")
