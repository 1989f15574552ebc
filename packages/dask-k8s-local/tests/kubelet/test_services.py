"""Services between pods, by name and address."""

import asyncio

import pytest

from dask_k8s_local.conditions import is_true
from dask_k8s_local.resources import SERVICES

SERVER = """
from http.server import HTTPServer, SimpleHTTPRequestHandler
HTTPServer(('', 8000), SimpleHTTPRequestHandler).serve_forever()
"""
CLIENT = "import urllib.request; print(urllib.request.urlopen('{url}', timeout=5).status)"


def web(here, **more):
    container = {
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 0.05},
    }
    return here.run("python", "-c", SERVER, labels={"app": "web"}, container=container, **more)


def is_ready(pod):
    return is_true(pod["status"].get("conditions"), "Ready")


async def answer(here, url, name="client"):
    here.run("python", "-c", CLIENT.format(url=url), name=name, restartPolicy="Never")
    await here.phase("Succeeded", name)
    return await here.log(name)


async def test_by_name_and_named_port(here):
    here.service("web", selector={"app": "web"}, ports=[{"port": 8080, "targetPort": "http"}])
    web(here)
    assert await answer(here, "http://web.default.svc.cluster.local:8080/") == "200\n"
    assert await answer(here, "http://web:8080/", "other") == "200\n"


async def test_from_outside(here, until):
    service = here.service("web", selector={"app": "web"}, type="NodePort", ports=[{"port": 8000}])
    web(here)
    await until(lambda: here.names.directory.joinpath("default", "web").exists())
    spec = service["spec"]
    node_port = spec["ports"][0]["nodePort"]
    for address, port in ((spec["clusterIP"], 8000), ("127.0.0.1", node_port), (here.block.node, node_port)):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 200")
        writer.close()


async def test_only_ready_pods_are_asked(here):
    here.service("web", selector={"app": "web"}, ports=[{"port": 8000}])
    never = {"exec": {"command": ["false"]}}
    here.run("python", "-c", SERVER, labels={"app": "web"}, container={"readinessProbe": never})
    await here.phase("Running")
    here.run("python", "-c", CLIENT.format(url="http://web:8000"), name="client", restartPolicy="Never")
    await here.phase("Running", "client")
    web(here, name="ready")
    await here.phase("Succeeded", "client")


async def test_refuses_where_no_pod_is_expected(here, until):
    service = here.service("web", selector={"app": "web"}, ports=[{"port": 8000}])
    await until(lambda: here.names.directory.joinpath("default", "web").exists())
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(service["spec"]["clusterIP"], 8000)


async def test_headless(here):
    here.service("web", selector={"app": "web"}, clusterIP="None", ports=[{"port": 8000}])
    web(here, hostname="a", subdomain="web")
    await here.until(is_ready)
    assert await answer(here, "http://web:8000/") == "200\n"
    assert await answer(here, "http://a.web.default.svc:8000/", "other") == "200\n"


async def test_a_changed_service(here):
    service = here.service("web", selector={"app": "no"}, ports=[{"port": 8000}])
    web(here)
    new = {**service["spec"], "selector": {"app": "web"}, "ports": [{"port": 8080, "targetPort": 8000}]}
    here.replace(service, new)
    assert await answer(here, "http://web:8080/") == "200\n"


async def test_deleted(here, until):
    service = here.service("web", selector={"app": "web"}, ports=[{"port": 8000}])
    await until(lambda: here.names.directory.joinpath("default", "web").exists())
    here.remove(service)
    await until(lambda: not here.names.directory.joinpath("default", "web").exists())


async def test_a_port_that_is_taken(here, until):
    web(here)
    service = here.service("web", selector={"app": "web"}, ports=[{"port": 8000}])
    await until(lambda: here.names.directory.joinpath("default", "web").exists())
    here.store_service({**service, "metadata": {"name": "thief", "namespace": "default"}})
    await until(lambda: here.events("FailedToListen"))
    address = service["spec"]["clusterIP"]
    assert here.events("FailedToListen") == [f"cannot listen at {address}:8000: address already in use"]


ECHO = """
import asyncio
async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
async def main():
    await (await asyncio.start_server(serve, "", 8000)).serve_forever()
asyncio.run(main())
"""
CHANGES = {
    "NodePort": {"type": "NodePort", "ports": [{"port": 8000}]},
    "LoadBalancer": {"type": "LoadBalancer", "ports": [{"port": 8000}]},
    "another port": {"ports": [{"port": 8001, "targetPort": 8000}]},
    "ExternalName": {"type": "ExternalName", "externalName": "x.invalid", "clusterIP": None},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_connections_survive_a_changed_service(here, until, change):
    service = here.service("web", selector={"app": "web"}, ports=[{"port": 8000}])
    container = {"readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 0.05}}
    here.run("python", "-c", ECHO, labels={"app": "web"}, container=container)
    await here.until(is_ready)
    reader, writer = await asyncio.open_connection(service["spec"]["clusterIP"], 8000)

    async def ask(text):
        writer.write(f"{text}\n".encode())
        return await reader.readline()

    assert await ask("before") == b"BEFORE\n"
    here.replace(service, {**service["spec"], **change})
    published = here.names.directory.joinpath("default", "web")
    if change.get("type") == "ExternalName":
        await until(lambda: "x.invalid" in published.read_text())
    else:
        changed = here.store.get(SERVICES, "default", "web")["spec"]
        for port in changed["ports"]:
            address = "127.0.0.1" if "nodePort" in port else changed["clusterIP"]
            await reachable(address, port.get("nodePort", port["port"]))
    assert await ask("after") == b"AFTER\n"
    writer.close()


async def reachable(address, port):
    """Wait until a connection is possible."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)  # there is no event to wait for
            else:
                writer.close()
                return
