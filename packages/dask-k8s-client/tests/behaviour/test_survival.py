"""Connections break and schedulers are replaced; the cluster object and its client go on."""

import asyncio
import operator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import yaml
from distributed import Client


class Proxy:
    """A proxy in front of the API server whose connections can be broken."""

    def __init__(self, host, port):
        self._target = host, port
        self._open = set()

    async def _serve(self, reader, writer):
        remote_reader, remote_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, remote_writer}

        async def pump(source, sink):
            while data := await source.read(2**16):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, remote_writer), pump(remote_reader, writer), return_exceptions=True)

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.drop()

    def drop(self):
        """Break all connections."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()


@pytest.fixture
async def proxy(kubeconfig, tmp_path, monkeypatch):
    """The proxy, which KUBECONFIG uses."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster = config["clusters"][0]["cluster"]
    url = urlsplit(cluster["server"])
    proxy = Proxy(url.hostname, url.port)
    async with proxy.running() as port:
        cluster |= {"server": f"{url.scheme}://127.0.0.1:{port}", "tls-server-name": url.hostname}
        (tmp_path / "config").write_text(yaml.safe_dump(config), encoding="utf-8")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        yield proxy


async def answer(client):
    """Submit until there is a result: tasks that ran when the connection broke are lost."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await client.submit(operator.add, 20, 1, pure=False)
            except Exception:  # noqa: BLE001  # whatever a broken connection looks like to a client
                await asyncio.sleep(0.1)


async def test_dropped_connections(make, proxy, kube):
    async with make("dropped", asynchronous=True) as cluster, Client(cluster, asynchronous=True) as client:
        for _ in range(2):
            assert await answer(client) == 21
            proxy.drop()
        await cluster.scale(2)
        async with asyncio.timeout(120):
            while len(cluster.scheduler_info["workers"]) < 2:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.1)
    assert not kube.exists("daskcluster/dropped")


@pytest.mark.core
async def test_dropped_while_it_starts(make, proxy, kube):
    cluster = make("dropped-early", n_workers=0, asynchronous=True)
    starting = asyncio.ensure_future(cluster)
    await asyncio.to_thread(kube.wait, "daskcluster/dropped-early", "create")
    for _ in range(5):
        await asyncio.wait({starting}, timeout=0.2)
        proxy.drop()
    await starting
    await cluster.close()


async def test_replaced_scheduler(make, kube):
    async with make("replaced", asynchronous=True) as cluster, Client(cluster, asynchronous=True) as client:
        assert await answer(client) == 21
        began = cluster.scheduler_info["started"]
        await asyncio.to_thread(kube, "delete", "pod", "replaced-scheduler")
        assert await answer(client) == 21
        async with asyncio.timeout(120):
            while cluster.scheduler_info["started"] == began:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.1)


async def test_nobody_is_there_at_the_end(make, kube):
    """Closing does not wait for a scheduler that cannot answer."""
    cluster = await make("orphan", asynchronous=True, n_workers=0)
    await asyncio.to_thread(kube, "delete", "daskcluster", "orphan")
    async with asyncio.timeout(20):
        await cluster.close()
