"""Processes of the supervisor: start, environment, and termination."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dask_k8s_local.kubelet.runtime.client import CannotStart, Command, Runtime

ENV = {"PATH": os.defpath}


@pytest.fixture
async def runtime():
    directory = Path(tempfile.mkdtemp())
    runtime = await Runtime.start(directory)
    yield runtime
    await runtime.close()
    assert not directory.exists()


async def run(runtime, *argv, **more):
    """Run a command; return its exit code and output."""
    read, write = os.pipe()
    command = Command(argv=argv, env=ENV, cwd=Path("/"), container=more.pop("container", "c"), **more)
    process = await runtime.spawn(command, write, write, write)
    os.close(write)
    code = await process.wait()
    with os.fdopen(read, "rb") as output:
        return code, (await asyncio.to_thread(output.read)).decode()


@pytest.mark.parametrize(
    "script, code",
    [
        pytest.param("exit 0", 0, id="success"),
        pytest.param("exit 3", 3, id="failure"),
        pytest.param("kill -TERM $$", 143, id="signal"),
    ],
)
async def test_exit_code(runtime, script, code):
    assert await run(runtime, "sh", "-c", script) == (code, "")


async def test_output_and_environment(runtime):
    code, text = await run(
        runtime, "sh", "-c", "echo $K8S_LOCAL_CONTAINER; pwd; echo oops >&2", container="abc"
    )
    assert (code, text) == (0, "abc\n/\noops\n")


@pytest.mark.parametrize(
    "argv, message",
    [
        pytest.param(["no-such"], 'exec: "no-such": executable file not found in $PATH', id="not-on-path"),
        pytest.param(["/gone/x"], 'exec: "/gone/x": stat /gone/x: no such file or directory', id="no-file"),
        pytest.param(["/etc/passwd"], 'exec: "/etc/passwd": permission denied', id="not-executable"),
    ],
)
async def test_cannot_start(runtime, argv, message):
    with pytest.raises(CannotStart, match="^" + message.replace("$", r"\$") + "$"):
        await run(runtime, *argv)


async def test_signals_have_their_default_meaning(runtime):
    code, text = await run(
        runtime, sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGTERM))"
    )
    assert (code, text) == (0, "0\n")


async def test_sigterm_goes_to_the_process_and_sigkill_to_its_group(runtime, alive, until):
    read, write = os.pipe()
    script = "trap 'echo term' TERM; sleep 100 & echo $!; while :; do wait; done"
    command = Command(argv=["sh", "-c", script], env=ENV, cwd=Path("/"), container="c")
    process = await runtime.spawn(command, write, write, write)
    os.close(write)
    with os.fdopen(read) as output:
        child = int(await asyncio.to_thread(output.readline))
        process.signal(signal.SIGTERM)
        assert await asyncio.to_thread(output.readline) == "term\n"
        assert alive(child)
        process.signal(signal.SIGKILL)
        assert await process.wait() == 137
    await until(lambda: not alive(child))


@pytest.mark.skipif(sys.platform != "linux", reason="orphans can be adopted on Linux only")
async def test_a_daemon_ends_with_its_container(runtime, alive, until):
    code, text = await run(runtime, "sh", "-c", "setsid sh -c 'sleep 100 & echo $!' & sleep 0.2")
    assert code == 0
    await until(lambda: not alive(int(text)))


async def test_what_else_runs_in_a_container_ends_with_its_main_process(runtime):
    null = os.open(os.devnull, os.O_RDWR)
    aside = Command(argv=["sleep", "100"], env=ENV, cwd=Path("/"), container="c", main=False)
    other = Command(argv=["sleep", "100"], env=ENV, cwd=Path("/"), container="d")
    process = await runtime.spawn(aside, null, null, null)
    elsewhere = await runtime.spawn(other, null, null, null)
    os.close(null)
    await run(runtime, "true")
    assert await process.wait() == 137
    assert not elsewhere.ended.done()


async def test_mounts(runtime, tmp_path):
    if not runtime.has_mounts:
        pytest.skip("mount namespaces are not permitted here")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "k").write_text("value")
    (tmp_path / "root").mkdir()
    code, text = await run(
        runtime,
        "sh",
        "-c",
        "cat /etc/no-such/deep/k /opt/k; touch /etc/no-such/deep/x; ls /etc/passwd; echo new > /srv-x/new",
        mounts=[
            (str(tmp_path / "v"), "/etc/no-such/deep", True),
            (str(tmp_path / "v" / "k"), "/opt/k", False),
            (str(tmp_path / "v"), "/srv-x", False),
        ],
        root=tmp_path / "root",
    )
    assert text.startswith("valuevalue")
    assert "Read-only file system" in text
    assert "/etc/passwd" in text
    assert code == 0
    assert (tmp_path / "v" / "new").read_text() == "new\n"
    assert not Path("/etc/no-such").exists()
    assert not Path("/opt/k").exists()


SERVER = """
import asyncio, os, sys
from pathlib import Path
from dask_k8s_local.kubelet.runtime.client import Command, Runtime

async def main():
    runtime = await Runtime.start(Path(sys.argv[1]))
    command = Command(argv=["sh", "-c", "echo $$; sleep 100 & echo $!; wait"], env=os.environ, cwd=Path("/"),
                      container="c")
    await runtime.spawn(command, 0, 1, 2)
    await asyncio.sleep(100)

asyncio.run(main())
"""


def test_everything_ends_when_the_server_is_killed(tmp_path, alive, until):
    directory = tmp_path / "run"
    directory.mkdir()
    server = subprocess.Popen([sys.executable, "-c", SERVER, directory], stdout=subprocess.PIPE, text=True)
    with server:
        pids = [int(server.stdout.readline()) for _ in range(2)]
        assert all(alive(pid) for pid in pids)
        server.kill()
    for pid in pids:
        asyncio.run(until(lambda pid=pid: not alive(pid)))

    asyncio.run(until(lambda: not directory.exists()))
