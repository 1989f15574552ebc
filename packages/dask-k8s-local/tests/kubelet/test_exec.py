"""Commands, connections and logs, through the kubelet's interface."""

import asyncio

import pytest

from dask_k8s_local.kubelet.protocol import PodUnavailable


@pytest.fixture
async def pod(here):
    env = [{"name": "X", "value": "1"}]
    here.run("sleep", "100", container={"env": env})
    return await here.phase("Running")


async def test_exec(here, pod):
    process = await here.agent.exec(
        pod, "main", ["sh", "-c", "echo $X; echo e >&2; exit 3"], stdin=False, tty=False
    )
    assert (await process.stdout.read(), await process.stderr.read()) == (b"1\n", b"e\n")
    assert await process.wait() == 3
    process.close()


async def test_exec_with_stdin(here, pod):
    process = await here.agent.exec(pod, "main", ["tr", "a-z", "A-Z"], stdin=True, tty=False)
    process.stdin.write(b"hello")
    process.close()
    assert await process.stdout.read() == b"HELLO"
    assert await process.wait() == 0


async def test_exec_with_a_terminal(here, pod):
    process = await here.agent.exec(pod, "main", ["sh", "-c", "read x; stty size; tty"], stdin=True, tty=True)
    process.resize(24, 99)
    process.stdin.write(b"go\n")
    text = (await process.stdout.read()).decode()
    assert text.splitlines()[:2] == ["go", "24 99"]
    assert text.splitlines()[2].startswith("/dev/pts/")
    assert await process.wait() == 0
    process.close()


async def test_exec_that_is_killed(here, pod):
    process = await here.agent.exec(pod, "main", ["sleep", "100"], stdin=False, tty=False)
    process.kill()
    assert await process.wait() == 137
    assert await process.stdout.read() == b""


@pytest.mark.parametrize(
    "container, command, message",
    [
        pytest.param("main", "no-such", 'exec: "no-such": executable file not found in $PATH', id="command"),
        pytest.param("other", "true", "container other is not valid for pod pod", id="container"),
    ],
)
async def test_exec_refused(here, pod, container, command, message):
    with pytest.raises(PodUnavailable) as caught:
        await here.agent.exec(pod, container, [command], stdin=False, tty=False)
    assert str(caught.value) == message


async def test_exec_ends_with_the_container(here, pod):
    process = await here.agent.exec(pod, "main", ["sleep", "100"], stdin=False, tty=False)
    here.delete()
    assert await process.wait() == 137
    await here.gone()
    await process.stdout.read()
    await process.stderr.read()


async def test_dial(here):
    here.run("python", "-m", "http.server", "8000")
    pod = await here.phase("Running")
    with pytest.raises(PodUnavailable, match=r"connection refused$"):
        await here.agent.dial(pod, 8001)
    async with asyncio.timeout(30):
        while True:
            try:
                reader, writer = await here.agent.dial(pod, 8000)
                break
            except PodUnavailable:
                await asyncio.sleep(0.02)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 200")
    writer.close()


async def test_log_options(here):
    here.run("sh", "-c", "printf 'one\\ntwo\\nthree'", restartPolicy="Never")
    await here.phase("Succeeded")
    assert await here.log() == "one\ntwo\nthree"
    assert await here.log(tail_lines=2) == "two\nthree"
    assert await here.log(tail_lines=0) == ""
    assert await here.log(limit_bytes=5) == "one\nt"
    assert await here.log(since_seconds=100) == "one\ntwo\nthree"
    assert await here.log(since_seconds=-1) == ""
    stamped = (await here.log(timestamps=True)).splitlines()
    assert [line.split(" ", 1)[1] for line in stamped] == ["one", "two", "three"]
    assert stamped[0].startswith("20")


async def test_follow(here):
    here.run("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done", restartPolicy="Never")
    await here.phase("Running")
    assert await here.log(follow=True) == "1\n2\n3\n"


async def test_long_lines(here):
    here.run("python", "-c", "print('x' * 100_000); print('y' * 20_000, end='')", restartPolicy="Never")
    await here.phase("Succeeded")
    assert await here.log() == "x" * 100_000 + "\n" + "y" * 20_000


async def test_no_log_yet(here):
    here.run("true", container={"image": "registry.invalid/x"})
    await here.container(lambda status: status["state"]["waiting"]["reason"] == "ErrImagePull")
    with pytest.raises(
        PodUnavailable, match=r'"main" in pod "pod" is waiting to start: image can\'t be pulled'
    ):
        await here.log()


async def test_no_previous_log(here, pod):
    with pytest.raises(PodUnavailable, match=r'previous terminated container "main" in pod "pod" not found'):
        await here.log(previous=True)
