"""What the examples are tried with: a shell and a Python prompt as the reader has them, a controller."""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest
import yaml

EXAMPLES = Path(__file__).parent.parent
PATH = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def environment(kubernetes, kubectl, namespace, tmp_path) -> dict[str, str]:
    """As if the test's namespace were the one that the reader works in."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(kubernetes.kubeconfig, kubeconfig)
    here = ("config", "set-context", "--current", f"--namespace={namespace}")
    kubectl("--kubeconfig", str(kubeconfig), *here)
    patience = {"DASK_KUBERNETES__RESOURCE_TIMEOUT": "180"}  # seconds; the machine may be slow
    return {**os.environ, "PATH": PATH, "KUBECONFIG": str(kubeconfig), **patience}


@pytest.fixture
def shell(environment) -> Callable[..., str]:
    """Type a command in a folder of the examples: what it prints, unless it fails."""

    def run(command: str, folder: str = ".", *, stdin: str | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            shlex.split(command), check=False, cwd=EXAMPLES / folder, env=environment, input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert bool(done.returncode) == fails, f"$ {command}\n{done.stdout}"
        return done.stdout

    return run


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

    def says(self, words: str) -> str:
        """Wait for a line with these words."""
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        pytest.fail(f"it never said {words!r}:\n{''.join(self.said)}")

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
def controller(environment, namespace, shell) -> Iterator[Callable[..., Started]]:
    """Run the controller that a Python environment has, for the test's namespace."""
    with ExitStack() as stack:

        def start(python: Path | str = sys.executable, *options: str) -> Started:
            printed = yaml.safe_load_all(shell(f"{python} -m dask_k8s_controller manifests"))
            crds = [found for found in printed if found["kind"] == "CustomResourceDefinition"]
            for command in ("kubectl apply -f -", "kubectl wait --for=condition=Established -f -"):
                shell(command, stdin=yaml.safe_dump_all(crds))
            run = [str(python), "-m", "dask_k8s_controller", "run", "--namespace", namespace, *options]
            started = stack.enter_context(Started(run, EXAMPLES, environment))
            stack.callback(started.process.terminate)
            started.says("Ready")
            return started

        yield start
