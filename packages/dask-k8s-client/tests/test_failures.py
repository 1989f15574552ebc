"""Failures before there is a cluster, from Python and in the shell, as documented in docs/failures.md."""

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module

import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner

from dask_k8s_client import KubeCluster
from dask_k8s_client.cli.main import kubernetes
from dask_k8s_local.server import LocalKubernetes

SERVER = "https://my-kubernetes:6443"  # as the page has it


def write_config(path, port):
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "my-namespace"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.fixture
def config(tmp_path, monkeypatch, unused_tcp_port):
    """A kubeconfig for a port of this machine on which nothing listens."""
    path = tmp_path / "config"
    write_config(path, unused_tcp_port)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@asynccontextmanager
async def listening(config, handle):
    """Run a server for the kubeconfig; yield its name on the page and here."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    write_config(config, port)
    try:
        yield {SERVER: f"http://127.0.0.1:{port}"}
    finally:
        server.close()


async def create(*args):
    return await asyncio.to_thread(CliRunner().invoke, kubernetes, ["create", "my-cluster", *args])


def start(**arguments):
    """Return a started cluster."""
    return KubeCluster(name="my-cluster", asynchronous=True, **arguments)


async def test_no_kubeconfig(documented, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "my-kubeconfig")
    with documented.raised():
        await start()
    documented.printed(await create())


async def test_nobody_listens(documented, config, unused_tcp_port):
    names = {SERVER: f"http://127.0.0.1:{unused_tcp_port}"}
    with documented.raised(names):
        await start()
    documented.printed(await create(), names)


async def test_nobody_answers(documented, config):
    """It fails within the limit for the whole start, although the request may still be carried out."""

    async def silence(reader, writer):
        await reader.read()
        writer.close()

    import_module("kubernetes.aio.config")  # it may take longer than this start
    async with listening(config, silence) as names:
        with documented.raised(names):
            await start(resource_timeout=2)


async def test_forbidden(documented, config):
    """The message of an API server whose authorizer is RBAC."""
    message = (
        'daskclusters.kubernetes.dask.org is forbidden: User "jane" cannot create resource "daskclusters"'
        ' in API group "kubernetes.dask.org" in the namespace "my-namespace"'
    )

    async def refuse(request):
        return web.json_response({"kind": "Status", "reason": "Forbidden", "message": message}, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    write_config(config, runner.addresses[0][1])
    try:
        with documented.raised():
            await start()
        documented.printed(await create())
    finally:
        await runner.cleanup()


async def test_no_resource_definitions(documented, monkeypatch):
    """On a Kubernetes in which nothing is installed."""
    names = {"my-namespace": "default"}
    with LocalKubernetes.in_thread() as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        with documented.raised(names):
            await start()
        documented.printed(await create(), names, last="")


async def test_no_name_for_a_cluster(documented):
    with documented.raised():
        KubeCluster(name="my.cluster")
    documented.printed(CliRunner().invoke(kubernetes, ["create", "my.cluster"]), last="")


async def test_wrong_key_of_resources(documented):
    with documented.raised():
        KubeCluster(name="my-cluster", resources={"limit": {"memory": "4Gi"}})
    done = await create("--resources", '{"limit": {"memory": "4Gi"}}')
    assert done.exit_code == 2
    assert "Invalid value for '--resources': unknown key 'limit'" in done.stderr
