"""What the examples are tried with: a shell and a Python prompt as the reader has them, a controller."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest
import yaml

from dask_k8s_controller.testing import ControllerProcess

EXAMPLES = Path(__file__).parent.parent
PATH = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"


class AgentEndpoint:
    """A namespace, as if it were the one that the reader works in, and a shell there."""

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path) -> None:
        copy = folder / "kubeconfig"
        shutil.copy(kubeconfig, copy)
        patience = {"DASK_KUBERNETES__RESOURCE_TIMEOUT": "180"}  # seconds; the machine may be slow
        self.environment = {**os.environ, "PATH": PATH, "KUBECONFIG": str(copy), **patience}
        self.namespace = namespace
        self.shell(f"kubectl config set-context --current --namespace={namespace}")

    def shell(self, command: str, folder: str = ".", *, stdin: str | None = None, fails: bool = False) -> str:
        """Type a command in a folder of the examples: what it prints, unless it fails."""
        done = subprocess.run(
            shlex.split(command), check=False, cwd=EXAMPLES / folder, env=self.environment, input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert bool(done.returncode) == fails, f"$ {command}\n{done.stdout}"
        return done.stdout

    def controller(self, python: Path | str = sys.executable, *options: str) -> ControllerProcess:
        """The controller that a Python environment has, for this namespace."""
        printed = self.shell(f"{python} -m dask_k8s_controller manifests")
        kinds = yaml.load_all(printed, yaml.CSafeLoader)  # the loader in pure Python would take a second
        crds = [json.dumps(each) for each in kinds if each["kind"] == "CustomResourceDefinition"]
        for command in ("kubectl apply -f -", "kubectl wait --for=condition=Established -f -"):
            self.shell(command, stdin="\n---\n".join(crds))
        kubeconfig = Path(self.environment["KUBECONFIG"])
        return ControllerProcess(kubeconfig, f"--namespace={self.namespace}", *options, python=python)

    @contextmanager
    def started(self, command: list[str], folder: str = ".") -> Iterator["Started"]:
        """Run a program in a folder of the examples, and end it with the context."""
        with Started(command, EXAMPLES / folder, self.environment) as started:
            try:
                yield started
            finally:
                started.process.terminate()


@pytest.fixture
def place(kubernetes, namespace, tmp_path) -> AgentEndpoint:
    """A namespace of the test's own."""
    return AgentEndpoint(kubernetes.kubeconfig, namespace, tmp_path)


@pytest.fixture
def environment(place) -> dict[str, str]:
    return place.environment


@pytest.fixture
def shell(place) -> Callable[..., str]:
    """Type a command in a folder of the examples."""
    return place.shell


@pytest.fixture(scope="module")
def shared(kubectl, tmp_path_factory) -> Iterator[AgentEndpoint]:
    """A namespace for all tests of a file, with a controller."""
    with kubectl.new_namespace(f"examples-{uuid.uuid4().hex[:10]}") as here:
        place = AgentEndpoint(kubectl.kubeconfig, here.namespace, tmp_path_factory.mktemp("shared"))
        with place.controller():
            yield place


class Started:
    """A process, of which one reads line by line what it says, until the context ends."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)
        self.said: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Close its input, by which a prompt ends, and read what it still says."""
        if not self.process.stdin.closed:
            rest, _ = self.process.communicate(timeout=120)
            self.said.append(rest)

    def says(self, text: str) -> str:
        """Wait for a line that contains this text."""
        for line in self.process.stdout:
            self.said.append(line)
            if text in line:
                return line
        pytest.fail(f"it never printed {text!r}:\n{''.join(self.said)}")

    def ask(self, expression: str) -> str:
        """Have a Python prompt print something."""
        self.process.stdin.write(f"print('answer:', {expression})\n")
        self.process.stdin.flush()
        return self.says("answer: ").partition("answer: ")[2].strip()


@pytest.fixture
def prompt(environment) -> Iterator[Callable[[str], Started]]:
    """Run a script and stay at the prompt, as with ``python -i``; all prompts end after the test."""
    with ExitStack() as stack:

        def start(script: str) -> Started:
            file = EXAMPLES / script
            return stack.enter_context(
                Started([sys.executable, "-i", "-q", file.name], file.parent, environment)
            )

        yield start


@pytest.fixture
def controller(place) -> Iterator[Callable[..., ControllerProcess]]:
    """Run the controller that a Python environment has, for the test's namespace."""
    with ExitStack() as stack:
        yield lambda *how: stack.enter_context(place.controller(*how))
