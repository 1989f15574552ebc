"""What goes wrong before there is a cluster, as docs/failures.md has it: from Python, and in the shell."""

import asyncio
from contextlib import asynccontextmanager

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
    """A kubeconfig for a port of this machine where nobody listens."""
    path = tmp_path / "config"
    write_config(path, unused_tcp_port)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@asynccontextmanager
async def listening(config, handle):
    """A server for the kubeconfig, and the names that the page has for it."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    write_config(config, port)
    try:
        yield {SERVER: f"http://127.0.0.1:{port}"}
    finally:
        server.close()


async def create(*words):
    return await asyncio.to_thread(CliRunner().invoke, kubernetes, ["create", "my-cluster", *words])


def start(**arguments):
    """To be awaited."""
    return KubeCluster(name="my-cluster", asynchronous=True, **arguments)


async def test_no_kubeconfig(told, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "my-kubeconfig")
    with told.raised():
        await start()
    told.printed(await create())


async def test_nobody_listens(told, config, unused_tcp_port):
    names = {SERVER: f"http://127.0.0.1:{unused_tcp_port}"}
    with told.raised(names):
        await start()
    told.printed(await create(), names)


async def test_nobody_answers(told, config):
    """Within the time for the whole start, although what was asked for may still be done."""

    async def silence(reader, writer):
        await reader.read()
        writer.close()

    async with listening(config, silence) as names:
        with told.raised(names):
            await start(resource_timeout=6)


async def test_forbidden(told, config):
    """In the words of an API server whose authorizer is RBAC."""
    words = (
        'daskclusters.kubernetes.dask.org is forbidden: User "jane" cannot create resource "daskclusters"'
        ' in API group "kubernetes.dask.org" in the namespace "my-namespace"'
    )

    async def refuse(request):
        return web.json_response({"kind": "Status", "reason": "Forbidden", "message": words}, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    write_config(config, runner.addresses[0][1])
    try:
        with told.raised():
            await start()
        told.printed(await create())
    finally:
        await runner.cleanup()


async def test_no_resource_definitions(told, monkeypatch):
    """On a Kubernetes as it comes."""
    names = {"my-namespace": "default"}
    with LocalKubernetes.in_thread() as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        with told.raised(names):
            await start()
        told.printed(await create(), names, last="")


async def test_no_name_for_a_cluster(told):
    with told.raised():
        KubeCluster(name="my.cluster")
    told.printed(CliRunner().invoke(kubernetes, ["create", "my.cluster"]), last="")


async def test_wrong_key_of_resources(told):
    with told.raised():
        KubeCluster(name="my-cluster", resources={"limit": {"memory": "4Gi"}})
    done = await create("--resources", '{"limit": {"memory": "4Gi"}}')
    assert done.exit_code == 2
    assert "Invalid value for '--resources': unknown key 'limit'" in done.stderr
