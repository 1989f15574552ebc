"""Requests and watches, against a server with prepared answers."""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme
import yaml
from aiohttp import web

from dask_k8s_client.api.access import Login, NoAccess, load
from dask_k8s_client.api.requests import Api, Selector
from dask_k8s_client.api.watching import follow, until
from dask_k8s_client.logs import ContainerRun, PodFilter, copy_log, pod_logs
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS


def status(code, reason, message="no"):
    return web.json_response(
        {"kind": "Status", "reason": reason, "message": message, "code": code}, status=code
    )


def listed(version, *names):
    items = [{"metadata": {"name": name}} for name in names]
    return web.json_response({"metadata": {"resourceVersion": str(version)}, "items": items})


def event(type, version, name="a"):
    metadata = {"name": name, "resourceVersion": str(version)}
    return json.dumps({"type": type, "object": {"metadata": metadata}}).encode() + b"\n"


class Server:
    """Answers from a list, in order, and records the requests."""

    def __init__(self):
        self.answers = []
        self.asked = []

    async def handle(self, request):
        self.asked.append(
            (request.method, request.path, dict(request.query), request.headers.get("Authorization"))
        )
        answer = self.answers.pop(0)
        if callable(answer):
            return await answer(request)
        return answer

    def watch(self, *chunks, hold=False):
        """Answer with a stream that is aborted, or held open."""

        async def stream(request):
            response = web.StreamResponse()
            await response.prepare(request)
            for chunk in chunks:
                await response.write(chunk)
            if hold:
                await asyncio.sleep(60)
            request.transport.abort()
            return response

        self.answers.append(stream)


@asynccontextmanager
async def serving(server, port=0, **options):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, **options).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def write_config(path, port, token="first", **context):
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}/prefix/"}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.fixture
def config(tmp_path, monkeypatch):
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/none:{path}")
    # A proxy that must not be used for loopback addresses.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    return path


@pytest.fixture
async def server(config):
    server = Server()
    async with serving(server) as port:
        write_config(config, port)
        yield server


@pytest.fixture
async def api(server):
    api = await Api.connect()
    yield api
    await api.close()


async def test_who_and_where(api, server):
    server.answers = [web.json_response({"metadata": {"name": "foo"}})]
    assert await api.get(DASK_CLUSTERS, "ns", "foo") == {"metadata": {"name": "foo"}}
    path = "/prefix/apis/kubernetes.dask.org/v1/namespaces/ns/daskclusters/foo"
    assert server.asked == [("GET", path, {}, "Bearer first")]


@pytest.mark.parametrize(
    "context, namespace",
    [
        pytest.param({}, "default", id="default"),
        pytest.param({"namespace": "mine"}, "mine", id="of the context"),
    ],
)
async def test_namespace(config, context, namespace):
    write_config(config, 1, **context)
    assert (await load()).namespace == namespace


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param(None, "there is no kubeconfig", id="none"),
        pytest.param("{}", "kubeconfig", id="empty"),
        pytest.param("a: [", "kubeconfig", id="not YAML"),
    ],
)
async def test_no_access(config, text, message):
    if text is not None:
        config.write_text(text, encoding="utf-8")
    with pytest.raises(NoAccess, match=message):
        await load()


def add_context(path, name, namespace):
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    context = {"cluster": "c", "user": "u", "namespace": namespace}
    config["contexts"].append({"name": name, "context": context})
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


async def test_another_context(config):
    write_config(config, 1)
    add_context(config, "there", "theirs")
    assert (await load(login=Login(context="there"))).namespace == "theirs"
    with pytest.raises(NoAccess, match="nowhere"):
        await load(login=Login(context="nowhere"))


async def test_another_kubeconfig(config, tmp_path):
    write_config(config, 1)
    write_config(tmp_path / "other", 2, namespace="theirs")
    assert (await load(login=Login(kubeconfig=str(tmp_path / "other")))).namespace == "theirs"


async def test_credentials_are_renewed_where_they_came_from(server, config, tmp_path):
    other = tmp_path / "other"
    config.rename(other)
    api = await Api.connect(Login(kubeconfig=str(other)))
    write_config(other, api.access.server.split(":")[2].split("/")[0], token="second")
    server.answers = [status(401, "Unauthorized"), web.json_response({})]
    await api.get(DASK_CLUSTERS, "ns", "foo")
    assert [authorization for *_, authorization in server.asked] == ["Bearer first", "Bearer second"]
    await api.close()


async def test_objects_of_all_namespaces(api, server):
    items = [{"metadata": {"name": "a", "namespace": each}} for each in ("x", "y")]
    server.answers = [web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})]
    assert await api.list_items(DASK_CLUSTERS, None) == tuple(items)
    assert server.asked[0][1] == "/prefix/apis/kubernetes.dask.org/v1/daskclusters"


async def test_absent_is_an_answer(api, server):
    server.answers = [status(404, "NotFound"), status(404, "NotFound")]
    assert await api.get(DASK_CLUSTERS, "ns", "foo") is None
    await api.delete(DASK_CLUSTERS, "ns", "foo")


async def test_unknown_path_is_not(api, server):
    server.answers = [web.Response(status=404, text="404 page not found\n")]
    with pytest.raises(ApiError, match="404 page not found") as raised:
        await api.get(DASK_CLUSTERS, "ns", "foo")
    assert raised.value.reason == ""


async def test_expired_token(api, server, config):
    """The new token is in the rewritten kubeconfig."""
    write_config(config, api.access.server.split(":")[2].split("/")[0], token="second")
    server.answers = [status(401, "Unauthorized"), web.json_response({})]
    await api.get(DASK_CLUSTERS, "ns", "foo")
    assert [authorization for *_, authorization in server.asked] == ["Bearer first", "Bearer second"]


def of_file(path):
    return {"tokenFile": str(path)}


def of_program(path):
    path.with_name("program").write_text(
        f"""echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'\\
        '"status": {{"token": "'$(cat {path})'"}}}}'"""
    )
    program = {"command": "sh", "args": [str(path.with_name("program"))]}
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", **program}}


@pytest.mark.parametrize("user", [of_file, of_program])
async def test_expired_token_of_elsewhere(server, config, tmp_path, user):
    token = tmp_path / "token"
    token.write_text("first")
    written = yaml.safe_load(config.read_text(encoding="utf-8"))
    written["users"][0]["user"] = user(token)
    config.write_text(yaml.safe_dump(written), encoding="utf-8")
    api = await Api.connect()
    token.write_text("second")
    server.answers = [status(401, "Unauthorized"), web.json_response({})]
    await api.get(DASK_CLUSTERS, "ns", "foo")
    await api.close()
    assert [authorization for *_, authorization in server.asked] == ["Bearer first", "Bearer second"]


async def test_another_authority(config, tmp_path):
    server, file, tls = Server(), tmp_path / "ca.crt", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def replace():
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.cert_pem.write_to_path(file)

    replace()
    async with serving(server, ssl_context=tls) as port:
        write_config(config, port)
        written = yaml.safe_load(config.read_text(encoding="utf-8"))
        written["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{port}",
            "certificate-authority": str(file),
        }
        config.write_text(yaml.safe_dump(written), encoding="utf-8")
        api = await Api.connect()
        replace()
        server.answers = [web.json_response({"kind": "DaskCluster"})]
        assert await api.get(DASK_CLUSTERS, "ns", "foo") == {"kind": "DaskCluster"}
        await api.close()


async def test_wrong_token(api, server):
    server.answers = [status(401, "Unauthorized"), status(401, "Unauthorized")]
    with pytest.raises(ApiError) as raised:
        await api.get(DASK_CLUSTERS, "ns", "foo")
    assert raised.value.status == 401


async def abort(request):
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(abort, id="connection lost"),
        pytest.param(status(429, "TooManyRequests"), id="too many requests"),
        pytest.param(status(503, "ServiceUnavailable"), id="not available"),
    ],
)
async def test_trouble_passes(api, server, trouble):
    server.answers = [trouble, web.json_response({"ok": True})]
    assert await api.get(DASK_CLUSTERS, "ns", "foo") == {"ok": True}


async def test_creating_is_not_repeated(api, server):
    server.answers = [abort]
    with pytest.raises(ConnectionError, match="cannot reach the Kubernetes API at http://127"):
        await api.create(DASK_CLUSTERS, "ns", {})
    assert len(server.asked) == 1


async def seen(api, count):
    """Return the names in the first `count` states."""
    names = []
    states = follow(api, PODS, "ns", Selector(labels="a=b"))
    async with asyncio.timeout(10):
        async for objects in states:
            names.append(sorted(objects))
            if len(names) == count:
                break
    await states.aclose()
    return names


async def test_follow(api, server):
    server.answers = [listed(1, "a", "b")]
    server.watch(event("DELETED", 2), event("BOOKMARK", 3), event("ADDED", 4, "c"), hold=True)
    assert await seen(api, 3) == [["a", "b"], ["b"], ["b", "c"]]
    assert server.asked[1][2]["resourceVersion"] == "1"
    assert server.asked[1][2]["labelSelector"] == "a=b"


async def test_lines_of_any_form(api, server):
    """Lines may be split anywhere and be longer than any buffer."""
    long = event("ADDED", 2, "x" * 5_000_000)
    server.answers = [listed(1)]
    server.watch(long[:7], long[7:], event("ADDED", 3, "y"), hold=True)
    assert [len(each) for each in await seen(api, 3)] == [0, 1, 2]


async def test_watch_that_breaks_is_taken_up(api, server):
    server.answers = [listed(1, "a")]
    server.watch(event("ADDED", 2, "b"))
    server.answers += [listed(5, "a", "c")]
    server.watch(hold=True)
    assert await seen(api, 3) == [["a"], ["a", "b"], ["a", "c"]]


async def test_history_that_is_gone_is_listed_again(api, server):
    gone = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
    server.answers = [listed(1, "a")]
    server.watch(gone.encode() + b"\n")
    server.answers += [listed(9, "b")]
    assert await seen(api, 2) == [["a"], ["b"]]


async def test_refusal_ends_a_watch(api, server):
    server.answers = [status(403, "Forbidden", "pods is forbidden")]
    with pytest.raises(ApiError, match="forbidden"):
        await seen(api, 1)


async def test_until(api, server):
    server.answers = [listed(1)]
    server.watch(event("ADDED", 2), hold=True)
    found = await until(api, PODS, "ns", Selector.named("a"), lambda objects: objects.get("a"))
    assert found["metadata"]["resourceVersion"] == "2"
    assert server.asked[0][2] == {"fieldSelector": "metadata.name=a"}


CLUSTER = {"metadata": {"name": "mine", "namespace": "ns"}}
LOST = "dial tcp 10.0.0.9:10250: connect: no route to host"


def pods_of(*names):
    items = [
        {
            "metadata": {"name": name, "namespace": "ns", "labels": {}, "resourceVersion": "1"},
            "spec": {"containers": [{"name": "worker"}]},
            "status": {"containerStatuses": [{"name": "worker", "containerID": f"id-of-{name}"}]},
        }
        for name in names
    ]
    return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})


async def log_or_lost(request):
    if "lost" in request.path:
        return status(500, "InternalError", LOST)
    return web.Response(text=f"{request.path.split('/')[-2]} says hello\n")


async def test_a_lost_node_keeps_no_other_log_away(api, server):
    server.answers = [pods_of("fine", "lost"), log_or_lost, log_or_lost]
    logs = await pod_logs(api, CLUSTER, PodFilter())
    assert logs == {"fine": "fine says hello\n", "lost": f"cannot be read: {LOST}\n"}


@pytest.mark.parametrize(
    "code, reason",
    [pytest.param(500, "InternalError", id="lost node"), pytest.param(429, "TooManyRequests", id="busy")],
)
async def test_a_log_that_is_out_of_reach_is_waited_for(api, server, caplog, code, reason):
    server.answers = [status(code, reason, LOST), status(code, reason, LOST), web.Response(text="a\nb\n")]
    lines = []
    await copy_log(api, ContainerRun("id", PODS.path("ns", "pod", "log"), {"follow": "true"}), lines.append)
    assert lines == ["a", "b"]
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warnings == [f"the log /api/v1/namespaces/ns/pods/pod/log cannot be read now: {LOST}"]


async def test_a_log_that_is_refused_is_not(api, server):
    server.answers = [status(403, "Forbidden", "you may not")]
    with pytest.raises(ApiError, match="you may not"):
        await copy_log(api, ContainerRun("id", PODS.path("ns", "pod", "log"), {"follow": "true"}), print)


async def test_refused_websocket_says_why(api, server):
    server.answers = [status(403, "Forbidden"), status(403, "Forbidden", "cannot create pods/portforward")]
    with pytest.raises(ApiError, match="cannot create pods/portforward"):
        async with api.websocket("/x", {"ports": "1"}, ("v4.channel.k8s.io",)):
            pass
