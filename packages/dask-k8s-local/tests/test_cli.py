"""The command line, run as a command."""

import json
import os
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def state(tmp_path):
    """A user with a state directory of its own, whose server is stopped after the test."""
    yield tmp_path / "dask-k8s-local"
    command(tmp_path)("down")


def command(home):
    def run(*arguments, **more):
        env = {**os.environ, "XDG_STATE_HOME": str(home)}
        argv = [sys.executable, "-m", "dask_k8s_local.cli", *arguments]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60, **more)

    return run


@pytest.fixture
def local(state, tmp_path):
    return command(tmp_path)


def kubectl(kubeconfig, *arguments):
    argv = ["kubectl", "--kubeconfig", str(kubeconfig), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def server(state):
    return json.loads((state / "server.json").read_text())["pid"]


def sleeper(kubeconfig):
    """Run a pod and return its process."""
    script = "echo $$$$; exec sleep 100"
    kubectl(kubeconfig, "run", "sleeper", "--image=x", "--restart=Never", "--", "sh", "-c", script)
    kubectl(kubeconfig, "wait", "--for=jsonpath={.status.phase}=Running", "pod/sleeper", "--timeout=30s")
    while not (text := kubectl(kubeconfig, "logs", "sleeper")):
        pass
    return int(text)


def test_up_status_down(local, state, alive):
    assert local("status").returncode == 1
    up = local("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert f"export KUBECONFIG={state}/kubeconfig" in up.stdout
    assert "Not for production" in up.stdout
    pid = sleeper(state / "kubeconfig")
    status = local("status")
    assert status.returncode == 0
    assert f"process {server(state)}" in status.stdout
    again = local("up", "--detach")
    assert (again.returncode, "already running" in again.stderr) == (1, True)
    assert alive(pid)
    assert local("down").returncode == 0
    assert not alive(pid)
    assert not (state / "kubeconfig").exists()
    assert "is not running" in local("down").stdout


async def test_killed(local, state, alive, until):
    local("up", "--detach")
    pid = sleeper(state / "kubeconfig")
    os.kill(server(state), signal.SIGKILL)
    await until(lambda: not alive(pid))
    assert local("status").returncode == 1
    assert local("up", "--detach").returncode == 0
    assert kubectl(state / "kubeconfig", "get", "pods", "-o", "name") == ""


def test_foreground(state, tmp_path, alive):
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    argv = [sys.executable, "-m", "dask_k8s_local.cli", "up", "--kubeconfig", "mine"]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        pid = sleeper(tmp_path / "mine")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().strip() == "Stopping all pods."
        assert process.wait(10) == 0
    assert not alive(pid)
    assert not (tmp_path / "mine").exists()


def test_somebody_elses_kubeconfig(local, tmp_path):
    file = tmp_path / "config"
    file.write_text("kind: Config\nclusters: []\n")
    for more in ([], ["--detach"]):
        done = local("up", "--kubeconfig", str(file), *more)
        assert done.returncode == 1
        assert done.stderr == (
            f"dask-k8s-local: {file} is a kubeconfig of something else: it is left alone; name another file\n"
        )


def test_a_start_that_fails_says_why(local, state):
    state.mkdir()
    (state / "kubeconfig").mkdir()
    done = local("up", "--detach")
    assert done.returncode == 1
    assert "Is a directory" in done.stderr
