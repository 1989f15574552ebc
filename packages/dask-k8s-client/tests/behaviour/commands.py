"""`dask kubernetes` as tests run it: within this process, or as a process that receives signals."""

import os
import re
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from dask_k8s_client.cli.main import kubernetes

DASK = shutil.which("dask", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
NOISE = re.compile("Traceback|ResourceWarning|never retrieved")


def call(*args: str, fails: int = 0, input: str | None = None) -> str:
    """Run a command in this process; return stdout or, if it is to fail with an exit code, stderr.

    Here pytest fails a test that leaves resources open.
    """
    done = CliRunner().invoke(kubernetes, args, input=input, catch_exceptions=False)
    assert done.exit_code == fails, done.stderr
    assert not NOISE.search(done.stderr), done.stderr
    return done.stderr if fails else done.stdout


@contextmanager
def started(*args: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command as a process, which ends with the context.

    It warns of resources that it leaves open; `end` checks that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who is started where it is ignored ignores it
    environment = {**os.environ, "PYTHONWARNINGS": "default::ResourceWarning"}
    command, pipe = [DASK, "kubernetes", *args], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str], code: int) -> str:
    """Wait until the process has ended; return stderr."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert not NOISE.search(err), err
    return err


def line(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Wait for a line that matches."""
    for text in process.stdout:
        if found := re.search(pattern, text):
            return found
    return pytest.fail(process.stderr.read())
