"""Which requests are answered, and what is wrong with the others."""

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def dask(shared_dask):
    """The scheduler of all tests here; its token is restored."""
    token, file = shared_dask.token, shared_dask.folder / "token"
    yield shared_dask
    shared_dask.token = token
    file.write_text(token)


async def test_without_the_token_nothing_is_answered(dask):
    refused = [
        {},
        {"Authorization": dask.token},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {dask.token}"},
        {"Authorization": "Bearer tokén"},
    ]
    for headers in refused:
        for method, path in [
            ("GET", "idle"),
            ("GET", "demand"),
            ("GET", "none"),
            ("POST", "retire"),
            ("POST", "known"),
            ("POST", "left"),
        ]:
            status, answer = await dask.ask(method, path, headers=headers)
            assert (status, list(answer)) == (401, ["error"])


async def test_the_token_may_be_replaced(dask):
    old = {"Authorization": f"Bearer {dask.token}"}
    dask.token = "another"
    (dask.folder / "token").write_text("another")
    assert (await dask.ask("GET", "idle"))[0] == 200
    assert (await dask.ask("GET", "idle", headers=old))[0] == 401


@pytest.mark.parametrize("content", [None, "", " \n"], ids=["missing", "empty", "blank"])
async def test_without_a_token_file_nobody_gets_in(dask, content):
    await dask.get("idle")
    file = dask.folder / "token"
    file.unlink() if content is None else file.write_text(content)
    before = dask.log.count("all requests are refused")
    for token in (dask.token, "", "None"):
        assert (await dask.ask("GET", "idle", headers={"Authorization": f"Bearer {token}"}))[0] == 401
    assert dask.log.count("all requests are refused") == before + 1


@pytest.mark.parametrize("token, status", [("wrong", 401), (None, 413)], ids=["stranger", "controller"])
async def test_a_large_body_is_refused_before_it_is_sent(dask, token, status):
    headers = f"Authorization: Bearer {token or dask.token}\r\nContent-Length: {2**32}"
    reader, writer = await asyncio.open_connection(*dask.url.removeprefix("http://").split(":"))
    writer.write(f"POST /dask-k8s/v1/retire HTTP/1.1\r\nHost: here\r\n{headers}\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == str(status).encode()
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_there(dask):
    for method, path, status in [
        ("GET", "", 404),
        ("GET", "none", 404),
        ("GET", "demand/", 404),
        ("GET", "retire", 404),
        ("POST", "demand", 404),
        ("PUT", "retire", 405),
        ("DELETE", "idle", 405),
    ]:
        assert ((await dask.ask(method, path))[0], path) == (status, path)


MALFORMED = {
    "nothing": (b"", "JSON"),
    "not-json": (b"{", "JSON"),
    "not-text": (b"\xff\xfe\x00", "JSON"),
    "deep": (b"[" * 100_000, "JSON"),
    "list": (b"[]", "object"),
    "no-pods": (b'{"count": 1}', "pods"),
    "list-of-pods": (b'{"pods": ["a"], "count": 1}', "pods"),
    "pod-without-ip": (b'{"pods": {"a": null}, "count": 1}', "pods"),
    "pod-without-name": (b'{"pods": {"": ""}, "count": 1}', "pods"),
    "no-count": (b'{"pods": {}}', "count"),
    "negative": (b'{"pods": {}, "count": -1}', "count"),
    "half": (b'{"pods": {}, "count": 0.5}', "count"),
    "true": (b'{"pods": {}, "count": true}', "count"),
    "long-wait": (b'{"pods": {}, "count": 1, "wait": 5.1}', "wait"),
    "nan": (b'{"pods": {}, "count": 1, "wait": NaN}', "wait"),
    "word": (b'{"pods": {}, "count": 1, "wait": "1"}', "wait"),
    "successors-number": (b'{"pods": {}, "count": 1, "successors": 1}', "successors"),
    "successors-negative": (b'{"pods": {}, "count": 1, "successors": {"count": -1}}', "successors.count"),
    "successors-nan": (b'{"pods": {}, "count": 1, "successors": {"seconds": NaN}}', "successors.seconds"),
}


async def test_malformed_requests(dask, subtests):
    for name, (body, field) in MALFORMED.items():
        with subtests.test(name):
            status, answer = await dask.ask("POST", "retire", data=body)
            assert status == 400
            assert field in answer["error"]
    assert (await dask.ask("POST", "retire", json={"pods": {}, "count": 0, "later": 1}))[0] == 200


async def test_the_dashboard_still_answers(dask):
    for path in ("/status", "/health", "/sitemap.json"):
        async with dask.http.get(dask.url + path) as response:
            assert response.status == 200
