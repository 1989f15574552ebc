"""Prefect: flows whose tasks run on Kubernetes, with a released prefect-dask."""

import os
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from .conftest import RECIPES

HOST = "127.0.0.2"  # pods of the local Kubernetes reach it; 127.0.0.1 would be the pod
OLD_PATH = "dask_kubernetes.operator.kubecluster.kubecluster.KubeCluster"


@pytest.fixture
def server(here, tmp_path, monkeypatch):
    """A Prefect server, which the flow and its workers know."""
    with socket.socket() as any_port:
        any_port.bind((HOST, 0))
        port = any_port.getsockname()[1]
    api = f"http://{HOST}:{port}/api"
    for name, value in {"API_URL": api, "HOME": str(tmp_path), "SERVER_ANALYTICS_ENABLED": "false"}.items():
        monkeypatch.setenv(f"PREFECT_{name}", value)
    log = tmp_path / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)],
            env=os.environ,
            stdout=output,
            stderr=output,
        )
    try:
        while not answers(f"{api}/health"):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield api
    finally:
        process.terminate()
        process.wait(timeout=60)


def answers(url):
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_tasks_of_a_flow(here, server, run):
    printed = run("prefect_flow.py")
    assert "the sum is 14" in printed.splitlines()
    assert not here.all("daskclusters")


def test_the_path_in_saved_configuration(here, server, tmp_path):
    """Deployments that were made for dask-kubernetes name its module."""
    recipe = (RECIPES / "prefect_flow.py").read_text(encoding="utf-8")
    flow = tmp_path / "flow.py"
    flow.write_text(recipe.replace("dask_k8s_client.KubeCluster", OLD_PATH), encoding="utf-8")
    printed = subprocess.run([sys.executable, flow], check=True, capture_output=True, text=True).stdout
    assert "the sum is 14" in printed.splitlines()
    assert not here.all("daskclusters")
