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
def environment(tmp_path):
    """Commands of a separate user, whose server is stopped in any case."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    yield environment
    subprocess.run([DASK, "kubernetes", "local", "down"], env=environment, check=True, capture_output=True)


@pytest.fixture
def dask(environment):
    def run(*args, **more):
        command = [DASK, "kubernetes", *args]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, check=False)

    return run


def test_until_it_is_interrupted(dask, environment, tmp_path):
    command = [DASK, "kubernetes", "local", "up"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if "Ctrl-C" in line:
                break
        kubeconfig = tmp_path / "dask-k8s-local" / "kubeconfig"
        assert f"export KUBECONFIG={kubeconfig}" in said, process.stderr.read()
        made = dask("create", "foo", "--n-workers", "0", "--wait", KUBECONFIG=str(kubeconfig))
        assert made.returncode == 0, made.stderr
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out.strip(), err) == (0, "Ending all pods.", "")
    assert not kubeconfig.exists()
    assert dask("local", "status").returncode == 1


def test_in_the_background(dask, tmp_path):
    up = dask("local", "up", "--detach")
    assert up.returncode == 0, up.stderr
    kubeconfig = str(tmp_path / "dask-k8s-local" / "kubeconfig")
    assert f"export KUBECONFIG={kubeconfig}" in up.stdout
    assert dask("list", KUBECONFIG=kubeconfig).stderr == "There are no clusters in the namespace default.\n"
    again = dask("local", "up", "--detach")
    assert (again.returncode, "already running" in again.stderr) == (1, True)
    assert dask("local", "status").returncode == 0
    assert dask("local", "down").returncode == 0
    assert dask("local", "status").returncode == 1


def test_without_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_k8s_job", None)  # as if it were not installed
    done = CliRunner().invoke(kubernetes, ["local", "up"])
    assert done.exit_code == 1
    assert "dask-k8s-job is not installed" in done.output
    assert "pip install 'dask-k8s-client[local]'" in done.output
