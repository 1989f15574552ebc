"""`dask kubernetes local`: start, use and stop a local Kubernetes."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig

import pytest
from click.testing import CliRunner

from dask_k8s_client.cli.main import kubernetes

DASK = shutil.which("dask", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The state of a separate user, whose server is stopped in any case."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path / "dask-k8s-local"
    subprocess.run([sys.executable, "-m", "dask_k8s_local.cli", "down"], check=True, capture_output=True)


@pytest.fixture
def dask(capfd):
    """`dask("list")` returns what the command prints, and what the programs print that it runs."""

    def run(*args, fails=0):
        capfd.readouterr()
        done = CliRunner().invoke(kubernetes, args, catch_exceptions=False)
        programs = capfd.readouterr()
        assert done.exit_code == fails, f"{done.output}{programs.out}{programs.err}"
        return done.output + programs.out + programs.err

    return run


def test_until_it_is_interrupted(dask, home):
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [DASK, "kubernetes", "local", "up"], stdout=pipe, stderr=pipe, text=True
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if "Ctrl-C" in line:
                break
        kubeconfig = home / "kubeconfig"
        assert f"export KUBECONFIG={kubeconfig}" in said, process.stderr.read()
        dask("create", "foo", "--n-workers", "0", "--wait", "--kubeconfig", str(kubeconfig))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, "Ending all pods.", "")
    assert not kubeconfig.exists()
    dask("local", "status", fails=1)


def test_in_the_background(dask, home, monkeypatch):
    kubeconfig = home / "kubeconfig"
    assert f"export KUBECONFIG={kubeconfig}" in dask("local", "up", "--detach")
    with monkeypatch.context() as patch:
        patch.setenv("KUBECONFIG", str(kubeconfig))
        assert dask("list") == "There are no clusters in the namespace default.\n"
    assert "already running" in dask("local", "up", "--detach", fails=1)
    dask("local", "status")
    dask("local", "down")
    dask("local", "status", fails=1)


def test_without_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_k8s_job", None)  # as if it were not installed
    done = CliRunner().invoke(kubernetes, ["local", "up"])
    assert done.exit_code == 1
    assert "dask-k8s-job is not installed" in done.output
    assert "pip install 'dask-k8s-client[local]'" in done.output
