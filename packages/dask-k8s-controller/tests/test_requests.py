"""Requests as an API server sees them, and answers as the controller reads them."""

import asyncio
import contextlib
import json

import pytest
import yaml
from aiohttp import web
from kubernetes.aio.config import incluster_config, kube_config
from prometheus_client import REGISTRY

from dask_k8s_controller.runtime.api import Api
from dask_k8s_crds.api_errors import MAX_RETRY_AFTER_SECONDS, ApiError

from .fake_server import status

PODS = "/api/v1/namespaces/ns/pods"
QUOTA = 'pods "p" is forbidden: exceeded quota: q'


def answering(*answers):
    """Give one answer after the other, the last one again and again."""
    left = list(answers)

    async def answer(_):
        made = left.pop(0) if len(left) > 1 else left[0]
        return made()

    return answer


def ok(**body):
    return lambda: web.json_response(body)


def refusal(code, reason, message="", headers=None, **details):
    return lambda: web.json_response(status(code, reason, message, **details), status=code, headers=headers)


def html(code, **headers):
    return lambda: web.Response(
        status=code, text="<html>proxy</html>", content_type="text/html", headers=headers
    )


async def refused(api):
    with pytest.raises(ApiError) as caught:
        await api.get(PODS)
    return caught.value


async def test_requests_as_the_server_sees_them(api, server):
    server.answer = answering(ok(kind="Pod"))
    assert await api.get(PODS, limit="5", labelSelector="a=b,c") == {"kind": "Pod"}
    assert await api.create(PODS, {"metadata": {"name": "é"}}) == {"kind": "Pod"}
    assert await api.patch(f"{PODS}/p", {"spec": None}) == {"kind": "Pod"}
    assert await api.delete(f"{PODS}/p", "uid-1") is None
    assert await api.delete(f"{PODS}/p", "uid-1", 7) is None
    seen = [
        (request.method, request.path, dict(request.query), request.headers.get("Content-Type"))
        for request in server.requests
    ]
    manager = {"fieldManager": "dask-k8s-controller"}
    assert seen == [
        ("GET", PODS, {"limit": "5", "labelSelector": "a=b,c"}, None),
        ("POST", PODS, manager | {"fieldValidation": "Strict"}, "application/json"),
        ("PATCH", f"{PODS}/p", manager, "application/merge-patch+json"),
        ("DELETE", f"{PODS}/p", {}, "application/json"),
        ("DELETE", f"{PODS}/p", {}, "application/json"),
    ]
    assert [json.loads(body) for body in server.bodies if body] == [
        {"metadata": {"name": "é"}},
        {"spec": None},
        {"propagationPolicy": "Background", "preconditions": {"uid": "uid-1"}},
        {"propagationPolicy": "Background", "preconditions": {"uid": "uid-1", "resourceVersion": "7"}},
    ]
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer first"}


@pytest.mark.parametrize(
    "answer, expected",
    [
        pytest.param(refusal(404, "NotFound", "no p"), (404, "NotFound", "no p", True), id="not found"),
        pytest.param(refusal(403, "Forbidden", QUOTA), (403, "Forbidden", QUOTA, True), id="quota"),
        pytest.param(
            refusal(503, "ServiceUnavailable", "x"), (503, "ServiceUnavailable", "x", True), id="busy"
        ),
        pytest.param(
            refusal(500, "InternalError", "etcd"), (500, "InternalError", "etcd", False), id="failed"
        ),
        pytest.param(html(502), (502, "Bad Gateway", "<html>proxy</html>", False), id="a proxy's own page"),
        pytest.param(
            lambda: web.json_response({"kind": "Other"}, status=400),
            (400, "Bad Request", '{"kind": "Other"}', True),
            id="no Status",
        ),
        pytest.param(lambda: web.Response(status=409), (409, "Conflict", "", True), id="nothing in it"),
    ],
)
async def test_refusals(api, server, answer, expected):
    server.answer = answering(answer)
    error = await refused(api)
    assert (error.status, error.reason, error.message, error.answered) == expected
    assert str(error) == f"{expected[1]}: {expected[2]}"


@pytest.mark.parametrize(
    "answers, codes",
    [
        pytest.param([ok()], ["200"], id="well"),
        pytest.param([refusal(404, "NotFound")], ["404"], id="refused"),
        pytest.param([html(401), ok()], ["401", "200"], id="again with new credentials"),
        pytest.param([], ["<error>"], id="no answer"),
    ],
)
async def test_requests_are_counted_by_verb_and_code(api, server, answers, codes):
    def counted():
        labels = ({"verb": "GET", "code": code} for code in codes)
        return [REGISTRY.get_sample_value("dask_k8s_api_requests_total", each) or 0 for each in labels]

    def timed():
        return REGISTRY.get_sample_value("dask_k8s_api_request_duration_seconds_count", {"verb": "GET"}) or 0

    before, times = counted(), timed()
    server.answer = answering(*answers)
    if not answers:
        await server.stop()
    with contextlib.suppress(ApiError):
        await api.get(PODS)
    assert [after - known for after, known in zip(counted(), before, strict=True)] == [1] * len(codes)
    assert timed() - times == len(codes)


async def test_causes(api, server):
    server.answer = answering(
        refusal(403, "Forbidden", causes=[{"reason": "NamespaceTerminating"}, {"message": "without one"}])
    )
    assert (await refused(api)).causes == ("NamespaceTerminating", "")


@pytest.mark.parametrize(
    "answer, seconds",
    [
        pytest.param(refusal(429, "TooManyRequests", headers={"Retry-After": "7"}), 7.0, id="header"),
        pytest.param(refusal(429, "TooManyRequests", retryAfterSeconds=3), 3.0, id="details"),
        pytest.param(refusal(429, "TooManyRequests"), None, id="not specified"),
        pytest.param(html(429, **{"Retry-After": "5"}), 5.0, id="a proxy's own page"),
        pytest.param(html(503, **{"Retry-After": "Mon, 23 Nov 2026 12:00:00 GMT"}), None, id="a date"),
        pytest.param(html(503, **{"Retry-After": "soon"}), None, id="not a number"),
        pytest.param(html(429, **{"Retry-After": "-5"}), None, id="negative"),
        pytest.param(html(429, **{"Retry-After": "1000000000"}), MAX_RETRY_AFTER_SECONDS, id="years"),
        pytest.param(
            html(429, **{"Retry-After": 1000 * "9"}), MAX_RETRY_AFTER_SECONDS, id="a thousand digits"
        ),
        pytest.param(
            refusal(429, "TooManyRequests", retryAfterSeconds=10**400),
            MAX_RETRY_AFTER_SECONDS,
            id="400 digits",
        ),
        pytest.param(refusal(429, "TooManyRequests", retryAfterSeconds=["7"]), None, id="a list"),
    ],
)
async def test_retry_after(api, server, answer, seconds):
    server.answer = answering(answer)
    assert (await refused(api)).retry_after == seconds


async def test_an_answer_that_is_no_json_is_none(api, server):
    server.answer = answering(html(200))
    error = await refused(api)
    assert not error.answered


async def test_a_server_that_hangs_up_has_not_answered(api, server):
    async def hang_up(request):
        request.transport.abort()
        return web.Response()

    server.answer = hang_up
    error = await refused(api)
    assert (error.status, error.reason, error.answered) == (0, "Unreachable", False)
    assert "GET /api/v1/namespaces/ns/pods" in str(error)


async def test_a_server_that_is_away_has_not_answered(api, server):
    await server.stop()
    error = await refused(api)
    assert (error.status, error.answered) == (0, False)


async def test_after_a_401_the_credentials_are_read_again_once(api, server):
    async def answer(request):
        if request.headers["Authorization"] == "Bearer second":
            return web.json_response({"kind": "PodList"})
        server.give("second")
        return web.json_response(status(401, "Unauthorized"), status=401)

    server.answer = answer
    assert await api.get(PODS) == {"kind": "PodList"}
    assert [request.headers["Authorization"] for request in server.requests] == [
        "Bearer first",
        "Bearer second",
    ]
    await api.get(PODS)
    assert len(server.requests) == 3


async def test_many_that_are_refused_at_once_are_all_sent_again(api, server):
    arrived = asyncio.Barrier(5)

    async def answer(request):
        if request.headers["Authorization"] == "Bearer second":
            return web.json_response({})
        await arrived.wait()
        server.give("second")
        return web.json_response(status(401, "Unauthorized"), status=401)

    server.answer = answer
    assert await asyncio.gather(*(api.get(PODS) for _ in range(5))) == [{}] * 5
    assert len(server.requests) == 10


async def test_what_is_under_way_goes_on_while_others_are_refused(api, server):
    refused = asyncio.Event()

    async def answer(request):
        if request.path == "/slow":
            await refused.wait()
        elif request.headers["Authorization"] == "Bearer first":
            server.give("second")
            return web.json_response(status(401, "Unauthorized"), status=401)
        return web.json_response({"path": request.path})

    server.answer = answer
    slow = asyncio.create_task(api.get("/slow"))
    assert await api.get(PODS) == {"path": PODS}
    refused.set()
    assert await slow == {"path": "/slow"}


async def test_a_second_401_is_an_error(api, server):
    server.answer = answering(refusal(401, "Unauthorized"))
    error = await refused(api)
    assert error.status == 401
    assert len(server.requests) == 2


async def test_credentials_that_cannot_be_read_again_are_an_error_of_the_request(api, server):
    server.answer = answering(refusal(401, "Unauthorized"))
    server.kubeconfig.write_text("")
    error = await refused(api)
    assert error.status == 401


async def test_a_token_that_cannot_be_renewed_is_an_error_of_the_request(api, server):
    def renew(_):
        raise incluster_config.ConfigException("Token file exists but empty.")

    server.answer = answering(ok(kind="Pod"))
    loaded = api.credentials.configuration
    loaded.refresh_api_key_hook = renew
    error = await refused(api)
    assert error.status == 401
    assert "Token file exists but empty" in api.login_problem

    loaded.refresh_api_key_hook = None
    await api.get(PODS)
    assert not api.login_problem


async def test_a_token_that_was_read_while_it_was_written_is_read_again(server, tmp_path):
    token = tmp_path / "token"
    token.touch()
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    server.kubeconfig.write_text(yaml.safe_dump(config))
    server.answer = answering(*[refusal(403, "Forbidden")] * 3, ok(kind="Pod"))
    async with Api() as api:
        assert (await refused(api)).status == 403
        token.write_text("whole")
        await api.get(PODS)
    assert server.requests[-1].headers["Authorization"] == "Bearer whole"


@pytest.mark.parametrize("outcome", ["accepted again", "still refused"])
async def test_refused_credentials_are_logged_once(api, server, caplog, outcome):
    caplog.set_level("INFO")
    server.answer = answering(refusal(401, "Unauthorized"))
    for _ in range(3):
        await refused(api)
    if outcome == "accepted again":
        server.answer = answering(ok(kind="Pod"))
        await api.get(PODS)
        await api.get(PODS)
    expected = ["does not accept", "accepts"] if outcome == "accepted again" else ["does not accept"]
    lines = [record.message for record in caplog.records if record.name == "dask_k8s_controller.runtime.api"]
    assert len(lines) == len(expected)
    assert all(text in line for text, line in zip(expected, lines, strict=True))
    assert bool(api.login_problem) == (outcome == "still refused")


@pytest.mark.parametrize(
    "context, pod, namespace",
    [
        pytest.param({}, None, "default", id="nobody says"),
        pytest.param({"namespace": "mine"}, None, "mine", id="the kubeconfig"),
        pytest.param({"namespace": "mine"}, "home\n", "home", id="the pod"),
    ],
)
async def test_where_it_runs(api, server, tmp_path, monkeypatch, context, pod, namespace):
    config = yaml.safe_load(server.kubeconfig.read_text())
    config["contexts"][0]["context"] |= context
    server.kubeconfig.write_text(yaml.safe_dump(config))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    if pod is not None:
        (tmp_path / "namespace").write_text(pod)
    assert api.credentials.namespace() == namespace


async def test_without_any_kubernetes_the_message_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(ConnectionError, match=r"no Kubernetes is configured.*set KUBECONFIG"):
        async with Api():
            pass


async def test_a_closed_session_says_how_to_open_it():
    with pytest.raises(RuntimeError, match="async with Api"):
        await Api().get(PODS)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda api: api.create(PODS, {}), id="create"),
        pytest.param(lambda api: api.patch(f"{PODS}/p", {}), id="patch"),
        pytest.param(lambda api: api.delete(f"{PODS}/p", "uid"), id="delete"),
    ],
)
async def test_a_controller_that_leads_no_more_while_it_connects_writes_nothing(
    api, server, slow_connections, write
):
    server.answer = answering(ok(kind="Pod"))
    writing = asyncio.create_task(write(api))
    await slow_connections.connected.wait()
    api.may_write = lambda: False
    slow_connections.go_on.set()
    with pytest.raises(ApiError, match="another controller may lead") as caught:
        await writing
    assert not caught.value.answered
    assert server.requests == []


async def test_a_controller_that_does_not_lead_reads_and_competes(api, server):
    server.answer = answering(ok(kind="Lease"))
    api.may_write = lambda: False
    await api.get(PODS)
    await api.create(PODS, {}, fenced=False)
    await api.patch(f"{PODS}/p", {}, fenced=False)
    assert [request.method for request in server.requests] == ["GET", "POST", "PATCH"]
