"""A node whose pods are this machine, with the parts of an API server that streaming clients need."""

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import socket
import struct
import sys
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from dask_k8s_local.api import pod_subresources
from dask_k8s_local.api.errors import StatusError
from dask_k8s_local.kubelet.protocol import PodUnavailable


class Command:
    """A process of this machine (see `Process`)."""

    @classmethod
    async def start(cls, argv, *, stdin, tty):
        self = cls()
        self.ended_by_us = False
        self.terminal, theirs = os.openpty() if tty else (None, None)
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=theirs or (pipe if stdin else asyncio.subprocess.DEVNULL),
            stdout=theirs or pipe,
            stderr=theirs or pipe,
            start_new_session=True,
        )
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr
        if tty:
            os.close(theirs)
            loop, self.stdout = asyncio.get_running_loop(), asyncio.StreamReader()
            loop.add_reader(self.terminal, self._read)
            pipe = os.fdopen(os.dup(self.terminal), "wb", buffering=0)
            transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
            self.stdin = asyncio.StreamWriter(transport, protocol, None, loop)
        return self

    def _read(self):
        try:
            self.stdout.feed_data(os.read(self.terminal, 1000))
        except OSError:  # the other end is closed
            self.stdout.feed_eof()
            asyncio.get_running_loop().remove_reader(self.terminal)
            os.close(self.terminal)

    async def wait(self):
        code = await self.process.wait()
        return 128 - code if code < 0 else code

    def kill(self):
        self.ended_by_us = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@dataclass
class Node:
    """The kubelet (see `Kubelet`)."""

    commands: list = field(default_factory=list)
    connections: list = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a command is requested."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when commands can start."""

    async def dial(self, pod, port):
        try:
            connection = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            raise PodUnavailable(f"failed to connect to localhost:{port} inside the pod: refused") from None
        self.connections.append(connection[1])
        return connection

    async def exec(self, pod, container, command, *, stdin, tty):
        self.asked.set()
        await self.ready.wait()
        try:
            self.commands.append(await Command.start(command, stdin=stdin, tty=tty))
        except FileNotFoundError:
            text = f'exec: "{command[0]}": executable file not found in $PATH'
            raise PodUnavailable(text) from None
        return self.commands[-1]


def pod(name, *containers, phase="Running", node="here", running=True):
    state = {"running": {}} if running else {"terminated": {"exitCode": 0}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}"},
        "spec": {"nodeName": node, "containers": [{"name": one, "image": "x"} for one in containers]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": one, "state": state} for one in containers],
        },
    }


PODS = {
    one["metadata"]["name"]: one
    for one in (
        pod("web", "main"),
        pod("two", "a", "b"),
        pod("crashed", "main", running=False),
        pod("done", "main", phase="Succeeded", running=False),
        pod("pending", "main", phase="Pending", node="", running=False),
    )
}
KUBECTL = Path(sys.executable).with_name("kubectl")
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get"]}
        ],
    },
}


async def close(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@dataclass
class Server:
    """The server that clients connect to."""

    url: str
    node: Node
    handlers: set
    stop: Callable[[], Awaitable[None]]

    async def idle(self):
        """Wait until no request is being handled."""
        while self.handlers:
            await asyncio.wait(self.handlers)


@pytest.fixture
async def server():
    node, handlers = Node(), set()
    node.ready.set()

    async def handle(request):
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        found = re.fullmatch(r"/api/v1/namespaces/default/pods/([^/]+)(?:/([^/]+))?", request.path)
        if not found or found[1] not in PODS:
            return web.Response(status=404)
        if not found[2]:
            return web.json_response(PODS[found[1]])
        task = asyncio.current_task()
        handlers.add(task)
        try:
            subresource = SimpleNamespace(name=found[1], subresource=found[2])
            return await pod_subresources.connect(request, node, subresource, PODS[found[1]])
        except StatusError as error:
            return web.json_response(error.status(), status=error.code)
        finally:
            handlers.discard(task)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}", node, handlers, runner.cleanup)
    await runner.cleanup()
    for command in node.commands:
        command.kill()
        await command.wait()
    for writer in node.connections:
        await close(writer)


@pytest.fixture
async def listen():
    """Start a TCP server in the pod and return its port."""
    servers, tasks = [], set()

    async def listen(serve, **options):
        def accept(reader, writer):
            async def run():
                try:
                    with contextlib.suppress(ConnectionError):
                        await serve(reader, writer)
                finally:
                    await close(writer)

            tasks.add(asyncio.create_task(run()))

        servers.append(await asyncio.start_server(accept, "127.0.0.1", 0, **options))
        return servers[-1].sockets[0].getsockname()[1]

    yield listen
    for one in servers:
        one.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def connect(server):
    """Open a WebSocket to a subresource of a pod."""
    async with aiohttp.ClientSession(server.url) as session:

        async def connect(path, query, *protocols):
            url = f"/api/v1/namespaces/default/pods/{path}"
            return await session.ws_connect(url, params=query, protocols=protocols, max_msg_size=0)

        yield connect


@pytest.fixture
async def kubectl(server, tmp_path):
    """Start the real kubectl."""
    started = []

    async def kubectl(*arguments, **options):
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        process = await asyncio.create_subprocess_exec(
            KUBECTL if KUBECTL.exists() else KUBECTL.name,
            "--server",
            server.url,
            *arguments,
            stdin=options.get("stdin", asyncio.subprocess.DEVNULL),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        started.append(process)
        return process

    yield kubectl
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def free_port():
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture
async def refused(server):
    """Request a WebSocket that is rejected; return status and message."""
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    async def refused(path, query, protocol):
        url = f"{server.url}/api/v1/namespaces/default/pods/{path}"
        headers = handshake | {"Sec-WebSocket-Protocol": protocol} if protocol else {}
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, params=query, headers=headers) as response,
        ):
            if response.content_type == "application/json":
                return response.status, (await response.json())["message"]
            return response.status, await response.text()

    return refused
