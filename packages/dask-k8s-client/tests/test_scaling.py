"""Scaling on a server without the kind DaskAutoscaler, or without the permission to list autoscalers."""

import pytest
import yaml
from aiohttp import web

from dask_k8s_client import scaling
from dask_k8s_client.api.requests import Api

PREFIX = "/apis/kubernetes.dask.org/v1/namespaces/ns"
CLUSTER = {"metadata": {"name": "foo", "namespace": "ns", "uid": "1"}}
SPEC = scaling.autoscaler_spec("foo", minimum=1, maximum=2)


@pytest.fixture
def sizes():
    """The numbers of workers that were set for the default group."""
    return []


@pytest.fixture
def app(sizes):
    async def cluster(request):
        return web.json_response(CLUSTER)

    async def group(request):
        sizes.append((await request.json())["spec"]["worker"]["replicas"])
        return web.json_response({})

    app = web.Application()
    app.router.add_get(f"{PREFIX}/daskclusters/foo", cluster)
    app.router.add_patch(f"{PREFIX}/daskworkergroups/foo-default", group)
    return app


@pytest.fixture
async def api(app, tmp_path, monkeypatch):
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": "http://127.0.0.1:{1}".format(*runner.addresses[0])}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    api = await Api.connect()
    yield api
    await api.close()
    await runner.cleanup()


@pytest.fixture
def forbidden(app):
    async def refuse(request):
        status = {"kind": "Status", "reason": "Forbidden", "message": "not for you", "code": 403}
        return web.json_response(status, status=403)

    app.router.add_get(f"{PREFIX}/daskautoscalers", refuse)


async def scale(api, n):
    await scaling.remove_autoscaler(api, CLUSTER, "default")
    await scaling.set_replicas(api, CLUSTER, "default", n, 10)


async def test_scale_where_there_is_no_such_kind(api, sizes):
    await scale(api, 5)
    assert sizes == [5]


async def test_adapt_where_there_is_no_such_kind_says_what_to_install(api):
    with pytest.raises(RuntimeError, match=r"cannot adapt the cluster foo: .* dask-k8s-autoscaler") as raised:
        await scaling.adapt(api, CLUSTER, SPEC, 10)
    assert "`dask-k8s-controller manifests`" in str(raised.value)
    assert "scale()" in str(raised.value)


@pytest.mark.usefixtures("forbidden")
async def test_scale_where_they_are_not_shown(api, sizes):
    await scale(api, 5)
    assert sizes == [5]


@pytest.mark.usefixtures("forbidden")
async def test_adapt_where_they_are_not_shown(api):
    with pytest.raises(PermissionError, match="cannot adapt the cluster foo: not for you"):
        await scaling.adapt(api, CLUSTER, SPEC, 10)


@pytest.fixture
def restarts(app):
    """What was annotated, and with which keys; the names of the cluster's groups are listed."""
    patched = []

    async def patch(request):
        name = request.match_info["name"]
        if name == "foo-none":
            return web.json_response({"kind": "Status", "reason": "NotFound", "code": 404}, status=404)
        patched.append((name, (await request.json())["metadata"]["annotations"]))
        return web.json_response({})

    async def groups(_request):
        items = [
            {"metadata": {"name": f"foo-{name}"}, "spec": {"cluster": "foo"}} for name in ("big", "default")
        ]
        return web.json_response({"items": items, "metadata": {}})

    app.router.add_patch(f"{PREFIX}/daskclusters/{{name}}", patch)
    app.router.add_patch(f"{PREFIX}/daskworkergroups/{{name}}", patch)
    app.router.add_get(f"{PREFIX}/daskworkergroups", groups)
    return patched


async def test_each_restart_has_another_value(restarts, api):
    await scaling.restart(api, CLUSTER, None)
    await scaling.restart(api, CLUSTER, None)
    await scaling.restart(api, CLUSTER, "big")
    assert [name for name, _ in restarts] == ["foo", "foo", "foo-big"]
    assert [list(annotations) for _, annotations in restarts] == [["kubernetes.dask.org/restartedAt"]] * 3
    assert len({str(annotations) for _, annotations in restarts}) == 3


async def test_restart_of_a_group_that_there_is_not(restarts, api):
    with pytest.raises(ValueError, match="the cluster foo has no worker group 'none', but: big, default"):
        await scaling.restart(api, CLUSTER, "none")


async def test_restart_of_a_cluster_that_was_deleted(restarts, api):
    gone = {"metadata": CLUSTER["metadata"] | {"name": "foo-none"}}
    with pytest.raises(ValueError, match=r"cannot restart .* there is no DaskCluster foo-none any more"):
        await scaling.restart(api, gone, None)
