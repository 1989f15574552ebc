"""A complete server: start, several servers at once, and clean-up."""

import asyncio
import base64
import json
import logging
import socket
import ssl
import stat
import struct
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from dask_k8s_local.kubeconfig import ForeignKubeconfig
from dask_k8s_local.server import LocalKubernetes

SLEEP = ["--image=x", "--restart=Never", "--", "sh", "-c", "echo $$$$; exec sleep 100"]


def run(here, *arguments):
    command = ["kubectl", "--kubeconfig", str(here.kubeconfig), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pid_of(here, pod):
    run(here, "wait", "--for=jsonpath={.status.phase}=Running", f"pod/{pod}", "--timeout=30s")
    while not (text := run(here, "logs", pod)):
        pass
    return int(text)


def test_nothing_is_left(alive):
    with LocalKubernetes.in_thread() as here:
        run(here, "run", "sleeper", *SLEEP)
        pid = pid_of(here, "sleeper")
        assert alive(pid)
        file = here.kubeconfig
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        port = urllib.parse.urlsplit(here.url).port
    assert not alive(pid)
    assert not file.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_two_at_once():
    with LocalKubernetes.in_thread() as first, LocalKubernetes.in_thread() as second:
        for here in (first, second):
            run(here, "run", "web", "--image=x", "--", "python", "-m", "http.server", "8000")
            run(here, "expose", "pod", "web", "--port=8080", "--target-port=8000")
        for here in (first, second):
            address = run(here, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
            run(here, "wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
            with urllib.request.urlopen(f"http://{address}:8080/", timeout=10) as answer:
                assert answer.status == 200


async def test_in_an_event_loop():
    async with LocalKubernetes() as here:
        text = await asyncio.to_thread(run, here, "get", "nodes", "-o", "name")
    assert text == "node/dask-k8s-local\n"


def test_who_has_no_token_is_refused():
    with LocalKubernetes.in_thread() as here:
        context = ssl._create_unverified_context()  # noqa: SLF001  # as its documentation says
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{here.url}/api/v1/pods", context=context)


@pytest.mark.parametrize("path", ["/api/v1/pods?watch=1", "/api/v1/pods", "/healthz"])
def test_who_hangs_up_before_the_answer_is_no_error(caplog, path):
    with LocalKubernetes.in_thread() as here:
        config = json.loads(here.kubeconfig.read_text())
        token = config["users"][0]["user"]["token"]
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        address = ("127.0.0.1", urllib.parse.urlsplit(here.url).port)
        context = ssl._create_unverified_context()  # noqa: SLF001  # as its documentation says
        for _ in range(50):
            with context.wrap_socket(socket.create_connection(address)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(request.encode())
        run(here, "get", "pods")
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_its_certificate_can_be_verified():
    with LocalKubernetes.in_thread() as here:
        config = json.loads(here.kubeconfig.read_text())
        authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
        context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        with urllib.request.urlopen(f"{here.url}/version", context=context) as answer:
            assert json.load(answer)["major"] == "1"


def test_path_of_the_kubeconfig(tmp_path):
    file = tmp_path / "deep" / "config"
    for _ in range(2):
        with LocalKubernetes.in_thread(kubeconfig=file) as here:
            assert here.kubeconfig == file
            file_of_ours = file.read_text()
        assert not file.exists()
        file.write_text(file_of_ours)  # left over from a server that was killed


def test_somebody_elses_kubeconfig_stays(tmp_path):
    file = tmp_path / "config"
    file.write_text("apiVersion: v1\nkind: Config\nclusters: [{name: production}]\n")
    with pytest.raises(ForeignKubeconfig), LocalKubernetes.in_thread(kubeconfig=file):
        pass
    assert "production" in file.read_text()


def test_a_failed_start_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    file = tmp_path / "config"
    file.write_text("kind: Config")
    with pytest.raises(ForeignKubeconfig), LocalKubernetes.in_thread(kubeconfig=file):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
