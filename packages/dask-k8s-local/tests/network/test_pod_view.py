"""The network as Python sees it in a pod, in processes with the sitecustomize module."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import dask_k8s_local.network.pod
from dask_k8s_local.network.addresses import Block
from dask_k8s_local.network.dns import Dns


@pytest.fixture
def block():
    block = Block.reserve()
    yield block
    block.close()


@pytest.fixture
def python(block, tmp_path):
    names = Dns(tmp_path)
    names.set("default", "web", ["127.1.2.3"])
    names.set("other", "db", ["127.1.2.4"])
    names.set("default", "headless", ["127.1.2.5", "127.1.2.6"])
    names.set("default", "gone", ["127.1.2.7"])
    names.set("default", "gone", [])
    names.set("default", "pod-0.headless", ["127.1.2.5"])

    def run(code, address=None, **env):
        env = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(dask_k8s_local.network.pod.__file__).parent),
            "K8S_LOCAL_ADDRESS": address or block.pods.take(),
            "K8S_LOCAL_NAMES": str(tmp_path),
            "K8S_LOCAL_NAMESPACE": "default",
            "HOSTNAME": "my-pod",
            **env,
        }
        command = [sys.executable, "-c", "import socket, os\nme = os.environ['K8S_LOCAL_ADDRESS']\n" + code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param("web", "['127.1.2.3']", id="service"),
        pytest.param("WEB.default", "['127.1.2.3']", id="namespace"),
        pytest.param("web.default.svc", "['127.1.2.3']", id="svc"),
        pytest.param("web.default.svc.cluster.local", "['127.1.2.3']", id="full"),
        pytest.param("web.default.svc.cluster.local.", "['127.1.2.3']", id="absolute"),
        pytest.param("db.other", "['127.1.2.4']", id="other-namespace"),
        pytest.param("headless", "['127.1.2.5', '127.1.2.6']", id="headless"),
        pytest.param("pod-0.headless.default.svc", "['127.1.2.5']", id="pod-of-headless"),
        pytest.param("127.9.9.9", "['127.9.9.9']", id="number"),
    ],
)
def test_names(python, name, expected):
    infos = f"socket.getaddrinfo({name!r}, 80, type=socket.SOCK_STREAM)"
    assert python(f"print([info[4][0] for info in {infos}])") == expected
    assert python(f"print(socket.gethostbyname_ex({name!r})[2])") == expected


@pytest.mark.parametrize("name", ["db.default.svc", "gone.default.svc.cluster.local", "..svc"])
def test_unknown_names(python, name):
    code = f"""
try: socket.getaddrinfo({name!r}, 80)
except socket.gaierror as error: print(error.errno == socket.EAI_NONAME)
"""
    assert python(code) == "True"


def test_own_name(python):
    code = "print(socket.gethostname(), socket.getfqdn(), socket.gethostbyname('my-pod') == me)"
    assert python(code) == "my-pod my-pod True"


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])
def test_wildcards_and_localhost_are_the_pod(python, host):
    code = f"""
server = socket.create_server(({host!r}, 0))
print(server.getsockname()[0] == me)
socket.create_connection(("localhost", server.getsockname()[1])).close()
"""
    assert python(code) == "True"


def test_ipv6_wildcard(python):
    code = """
server = socket.socket(socket.AF_INET6)
server.bind(("::", 0))
server.listen()
socket.create_connection((me, server.getsockname()[1])).close()
"""
    assert not python(code)


def test_asyncio_server_and_client(python):
    code = """
import asyncio
async def main():
    server = await asyncio.start_server(lambda r, w: w.close(), None, 0)
    print([s.getsockname()[0] == me for s in server.sockets])
    reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
    print(await reader.read()); writer.close()
asyncio.run(main())
"""
    assert python(code) == "[True]\nb''"


def test_two_pods_use_the_same_port(python, block):
    with socket.create_server((block.pods.take(), 0)) as server:
        host, port = server.getsockname()
        assert python(f"print(socket.create_server(('', {port})).getsockname()[1])") == str(port)
        assert python(f"socket.create_connection(({host!r}, {port})); print('seen')") == "seen"


def test_the_address_that_dask_finds(python):
    pytest.importorskip("distributed")
    assert python("from distributed.utils import get_ip; print(get_ip() == me)") == "True"


def test_another_sitecustomize_runs_too(python, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('the other', __name__)")
    pod = Path(dask_k8s_local.network.pod.__file__).parent
    assert python("", PYTHONPATH=f"{pod}:{tmp_path}") == "the other sitecustomize"
