"""Commands in containers, with `v5.channel.k8s.io` and `v4.channel.k8s.io`."""

import asyncio
import json

import aiohttp
import pytest

V4, V5 = "v4.channel.k8s.io", "v5.channel.k8s.io"
OUTPUTS = [("stdout", "true"), ("stderr", "1")]


def query(*command, **options):
    return [("command", word) for word in command] + OUTPUTS + list(options.items())


async def collect(ws):
    """Return the data of each channel until the server closes the WebSocket."""
    found = {}
    async with asyncio.timeout(30):
        async for message in ws:
            found.setdefault(message.data[0], []).append(message.data[1:])
    assert ws.close_code == 1000
    return {channel: b"".join(pieces) for channel, pieces in found.items()}


@pytest.fixture(params=[V5, V4])
def protocol(request):
    return request.param


async def test_output_and_exit_code(connect, protocol):
    command = query("sh", "-c", "echo out; echo err >&2; exit 3")
    ws = await connect("web/exec", command, protocol)
    assert ws.protocol == protocol
    found = await collect(ws)
    assert (found[1], found[2]) == (b"out\n", b"err\n")
    assert json.loads(found[3]) == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: command terminated with exit code 3",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }


async def test_success(connect, protocol):
    found = await collect(await connect("web/exec", query("true"), protocol))
    assert found == {1: b"", 3: b'{"metadata":{},"status":"Success"}'}


async def test_only_requested_streams(connect, protocol):
    command = [("command", "sh"), ("command", "-c"), ("command", "echo out; echo err >&2"), ("stderr", "")]
    found = await collect(await connect("web/exec", command, protocol))
    assert set(found) == {2, 3}


async def test_no_such_command(connect, protocol):
    found = await collect(await connect("web/exec", query("nosuch"), protocol))
    status = json.loads(found[3])
    assert (status["reason"], status["code"]) == ("InternalError", 500)
    assert 'error executing command in container: exec: "nosuch": executable' in status["message"]


async def test_no_command(connect, protocol):
    found = await collect(await connect("web/exec", query(), protocol))
    assert "args must not be empty" in json.loads(found[3])["message"]


async def test_input_is_closed(connect):
    ws = await connect("web/exec", query("cat", stdin="true"), V5)
    await ws.send_str("\0text ")
    await ws.send_bytes(b"\0bytes")
    await ws.send_bytes(b"\xff\0")
    await ws.send_bytes(b"\0ignored")
    found = await collect(ws)
    assert found[1] == b"text bytes"
    assert json.loads(found[3])["status"] == "Success"


async def test_a_command_that_does_not_read(connect):
    ws = await connect("web/exec", query("sh", "-c", "exec 0<&-; echo ready; exit 0", stdin="true"), V5)
    for _ in range(100):
        await ws.send_bytes(b"\0" + b"x" * 1000)
    assert (await collect(ws))[1] == b"ready\n"


async def test_much_output(connect):
    found = await collect(await connect("web/exec", query("head", "-c", "20000000", "/dev/zero"), V5))
    assert len(found[1]) == 20_000_000


async def test_terminal(connect, protocol):
    script = "echo error >&2; read line; stty size"
    ws = await connect("web/exec", query("sh", "-c", script, stdin="true", tty="true"), protocol)
    await ws.send_bytes(b"\4nonsense")
    await ws.send_bytes(b'\4{"Width":81,"Height":25}')
    await ws.send_bytes(b"\0go\n")
    found = await collect(ws)
    assert found[1] == b"error\r\ngo\r\n25 81\r\n" or found[1] == b"go\r\nerror\r\n25 81\r\n"
    assert 2 not in found


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_ends_with_its_client(connect, server, protocol, how):
    ws = await connect("web/exec", query("sh", "-c", "echo ready; sleep 1000", stdin="true"), protocol)
    async with asyncio.timeout(30):
        while await ws.receive_bytes() != b"\1ready\n":
            pass
        if how == "closed":
            await ws.close()
        else:
            ws._response.connection.transport.abort()  # noqa: SLF001
        await server.idle()
        assert await server.node.commands[0].wait() == 137


async def test_ends_with_a_client_that_goes_before_it_starts(connect, server):
    server.node.ready.clear()
    ws = await connect("web/exec", query("sleep", "1000"), V5)
    async with asyncio.timeout(30):
        await server.node.asked.wait()
        await ws.close()
        asyncio.get_running_loop().call_later(
            1.2, server.node.ready.set
        )  # after the grace period for clients
        await server.idle()
        assert await server.node.commands[0].wait() == 137


async def test_ends_with_the_server(connect, server):
    ws = await connect("web/exec", query("sh", "-c", "echo ready; sleep 1000"), V5)
    async with asyncio.timeout(30):
        while await ws.receive_bytes() != b"\1ready\n":
            pass
        await server.stop()
        assert await server.node.commands[0].wait() == 137


async def test_input_ends_with_its_client(connect, server):
    ws = await connect("web/exec", query("sh", "-c", "cat; exit 5", stdin="true"), V5)
    await ws.send_bytes(b"\0hello")
    async with asyncio.timeout(30):
        while await ws.receive_bytes() != b"\1hello":
            pass
        await ws.close()
        await server.idle()
        assert await server.node.commands[0].wait() == 5


async def test_kills_only_what_runs(connect, server):
    await collect(await connect("web/exec", query("true"), V5))
    await server.idle()
    assert not server.node.commands[0].ended_by_us


async def test_a_client_that_does_not_read_holds_the_command_back(connect, server):
    ws = await connect("web/exec", query("yes"), V5)
    await ws.receive_bytes()
    await asyncio.sleep(0.5)
    ws._response.connection.transport.abort()  # noqa: SLF001
    async with asyncio.timeout(30):
        await server.idle()


@pytest.mark.parametrize(
    "path, options, status, text",
    [
        pytest.param("two/exec", {}, 400, "specified for pod two, choose one of: [a b]", id="which"),
        pytest.param("two/exec", {"container": "x"}, 400, "container x is not valid for pod two", id="wrong"),
        pytest.param("crashed/exec", {}, 500, 'container not found ("main")', id="crashed"),
        pytest.param("pending/exec", {}, 400, "pod pending does not have a host assigned", id="pending"),
        pytest.param("web/attach", {}, 400, "does not support attach", id="attach"),
    ],
)
async def test_refusals(refused, path, options, status, text):
    answer = await refused(path, query("true", **options), V4)
    assert answer[0] == status
    assert text in answer[1]


async def test_refuses_without_outputs(refused, connect):
    command = [("command", "true"), ("stdout", "false")]
    text = "you must specify at least 1 of stdin, stdout, stderr"
    assert await refused("web/exec", command, V4) == (400, text)
    found = await collect(await connect("web/exec", command, V5))
    assert text in json.loads(found[3])["message"]


async def test_refuses_spdy(server):
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    async with aiohttp.ClientSession(server.url) as session:
        url = "/api/v1/namespaces/default/pods/web/exec"
        async with session.post(url, params=query("true"), headers=headers) as response:
            assert response.status == 400
            assert "kubectl 1.31" in (await response.json())["message"]


async def test_says_on_the_channel_that_there_is_no_container(connect):
    found = await collect(await connect("crashed/exec", query("true"), V5))
    status = json.loads(found[3])
    assert status["message"] == (
        'Internal error occurred: unable to upgrade connection: container not found ("main")'
    )
