"""The `kubernetes` package: exec and port-forward of its blocking and of its asyncio client."""

import asyncio
import gc

import kubernetes.aio.client
import kubernetes.aio.stream
import kubernetes.client
import kubernetes.stream
import pytest

COMMAND = {
    "name": "web",
    "namespace": "default",
    "command": ["sh", "-c", "cat; echo error >&2; exit 3"],
    "stdin": True,
    "stdout": True,
    "stderr": True,
}

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The blocking client leaves its sockets to the garbage collector."""


@pytest.fixture(autouse=True)
def collected():
    """Collect garbage of a test before the next one."""
    yield
    gc.collect()


@pytest.fixture
def blocking(server):
    """Return the blocking client's API."""
    with kubernetes.client.ApiClient(kubernetes.client.Configuration(host=server.url)) as client:
        yield kubernetes.client.CoreV1Api(client)


async def test_exec(blocking):
    def run():
        command = kubernetes.stream.stream(
            blocking.connect_get_namespaced_pod_exec, **COMMAND, _preload_content=False
        )
        command.write_stdin("hello\n")
        said = command.readline_stdout(timeout=10)
        command.close_channel(0)
        command.run_forever(timeout=10)
        command.close()
        return said, command.read_stderr(), command.returncode

    assert await asyncio.to_thread(run) == ("hello", "error\n", 3)


async def test_exec_without_streams(blocking):
    def run():
        command = {**COMMAND, "command": ["echo", "hello"], "stdin": False}
        return kubernetes.stream.stream(blocking.connect_get_namespaced_pod_exec, **command)

    assert await asyncio.to_thread(run) == "hello\n"


async def test_exec_with_asyncio(server):
    configuration = kubernetes.aio.client.Configuration(host=server.url)
    async with kubernetes.aio.stream.WsApiClient(configuration) as client:
        api = kubernetes.aio.client.CoreV1Api(client)
        command = await api.connect_get_namespaced_pod_exec_without_preload_content(**COMMAND)
        async with command as ws:
            await ws.send_bytes(b"\0hello\n")
            while await ws.receive_bytes() != b"\1hello\n":
                pass
        output = await api.connect_get_namespaced_pod_exec(**{**COMMAND, "command": ["echo", "hello"]})
        assert output == "hello\n"


async def test_port_forward(blocking, listen, free_port):
    async def shout(reader, writer):
        writer.write((await reader.read(1000)).upper())

    port = await listen(shout)

    def run():
        forward = kubernetes.stream.portforward(
            blocking.connect_get_namespaced_pod_portforward, "web", "default", ports=f"{port},{free_port}"
        )
        one, other = sockets = forward.socket(port), forward.socket(free_port)
        for each in sockets:
            each.settimeout(10)
        one.sendall(b"hello")
        found = one.recv(1000), other.recv(1000), forward.error(free_port)
        for each in sockets:
            each.close()
        return found

    answer, nothing, error = await asyncio.to_thread(run)
    assert (answer, nothing) == (b"HELLO", b"")
    assert error.startswith(f"error forwarding port {free_port}")
