"""The world of the agent's tests: real schedulers, workers, clients of the oldest and the newest distributed.

They live in environments of their own, created once and kept in pytest's cache: the controller has no Dask.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

AGENT = Path(__file__).parents[2] / "src/dask_k8s_controller/dask/scheduler/preload.py"
INSIDE = Path(__file__).with_name("inside.py")
ENVIRONMENTS = {
    "oldest": ("3.11", ["distributed==2024.1.0", "dask==2024.1.0"]),
    "newest": (f"{sys.version_info.major}.{sys.version_info.minor}", ["distributed==2026.8.*"]),
}


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Path:
    """The `bin` folder of an environment with distributed."""
    python, requirements = ENVIRONMENTS[request.param]
    digest = hashlib.sha256(repr((python, requirements)).encode()).hexdigest()[:12]
    folder = request.config.cache.mkdir("agent-environments") / f"{request.param}-{digest}"
    complete = folder / "complete"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others may be about to make it, too
        if not complete.exists():
            subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", python, folder], check=True)
            install = ["uv", "pip", "install", "--quiet", "--python", folder / "bin/python"]
            subprocess.run([*install, *requirements], check=True)
            complete.touch()
    return folder / "bin"


class Nursery:
    """Forks schedulers, workers and clients from a process that has imported distributed."""

    def __init__(self, environment: Path) -> None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
        self.process = subprocess.Popen(
            [environment / "python", INSIDE],
            env={**variables, "DASK_CONFIG": os.devnull},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def fork(self, kind: str, **options: Any) -> int:
        """Start a ``scheduler``, a ``worker`` or a ``client``; return its pid."""
        self.process.stdin.write(json.dumps([kind, options]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="session")
def nursery(environment: Path) -> Iterator[Nursery]:
    """The process that starts the others."""
    nursery = Nursery(environment)
    yield nursery
    with nursery.process as process:
        process.stdin.close()


@dataclass
class World:
    """A scheduler with its agent, a client, and workers."""

    folder: Path
    environment: Path
    nursery: Nursery
    http: aiohttp.ClientSession
    token: str = field(default_factory=secrets.token_hex)
    pids: dict[str, int] = field(default_factory=dict)
    forked: list[int] = field(default_factory=list)
    """The scheduler and the client, unless they are processes of their own."""
    agent: Path = AGENT
    scheduler: asyncio.subprocess.Process | None = None
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    address: str = ""
    url: str = ""

    @property
    def log(self) -> str:
        """What the scheduler has logged."""
        return (self.folder / "scheduler.log").read_text()

    @property
    def executions(self) -> list[str]:
        """A line per execution of a task of `inside`."""
        return sorted((self.folder / "record").read_text().splitlines())

    def agent_with(self, **constants: float) -> Path:
        """Write a preload that is the agent, but for some of its constants."""
        path = self.folder / "wrapper.py"
        path.write_text(
            f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("agent_with_other_constants", {str(self.agent)!r})
agent = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(agent)
vars(agent).update({constants})
dask_setup, dask_teardown = agent.dask_setup, agent.dask_teardown
"""
        )
        return path

    async def start(
        self, *arguments: str, preload: Path = AGENT, forks: bool = True, **variables: str
    ) -> None:
        """Start a scheduler, with the command of its pod unless it is forked."""
        (self.folder / "token").write_text(self.token + "\n")
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DASK_")},
            "DASK_CONFIG": str(self.folder / "config"),
            "DASK_K8S_AGENT_TOKEN_FILE": str(self.folder / "token"),
            "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": json.dumps([str(preload)]),
            **variables,
        }
        file, log = self.folder / "scheduler.json", self.folder / "scheduler.log"
        options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        options += ["--scheduler-file", str(file), *map(str, arguments)]
        if forks:
            pid = self.nursery.fork("scheduler", arguments=options, environment=variables, log=str(log))
            self.forked.append(pid)
        else:
            command = [self.environment / "dask", "scheduler", *options]
            with log.open("w") as output:
                self.scheduler = await asyncio.create_subprocess_exec(
                    *command, env=variables, stdout=output, stderr=output
                )
            pid = self.scheduler.pid
        async with asyncio.timeout(60):
            while not file.exists() or not file.read_text():
                if not is_running(pid):
                    raise AssertionError(self.log)
                await asyncio.sleep(0.02)
        scheduler = json.loads(file.read_text())
        self.address = scheduler["address"]
        host = "[::1]" if "[::1]" in arguments else "127.0.0.1"
        self.url = f"http://{host}:{scheduler['services']['dashboard']}"
        (self.folder / "record").touch()

    async def workers(self, *names: str, **options: Any) -> None:
        """Start workers and wait until the scheduler knows them."""
        options = {"host": "127.0.0.1", "nthreads": 1, "memory_limit": 10**9, **options}
        for name in names:
            self.pids[name] = self.nursery.fork("worker", scheduler=self.address, name=name, **options)
        await self.run(f"wait_for_workers(client, {len(self.pids)})")

    async def kill(self, *names: str) -> None:
        """Kill workers, and wait until the scheduler has noticed."""
        for name in names:
            os.kill(self.pids.pop(name), signal.SIGKILL)
        await self.run(f"wait_for_workers(client, {len(self.pids)})")

    async def run(self, code: str) -> Any:
        """Have a client execute code; return what it called `answer`."""
        if self.client is None:
            self.client = await self._start_client()
        reader, writer = self.client
        writer.write(json.dumps(textwrap.dedent(code)).encode() + b"\n")
        async with asyncio.timeout(60):
            answer, error = json.loads(await reader.readline())
        assert error is None, error
        return answer

    async def executes(self, *lines: str) -> None:
        """Wait until tasks of `inside` are being executed, or have been."""
        async with asyncio.timeout(60):
            while not set(lines).issubset(self.executions):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)

    def let_go(self) -> None:
        """Let tasks finish that `hold`."""
        (self.folder / "go").touch()

    async def ask(self, method: str, path: str, **request: Any) -> tuple[int, Any]:
        """Ask the agent; return status and answer."""
        headers = request.pop("headers", {"Authorization": f"Bearer {self.token}"})
        url = f"{self.url}/dask-k8s/v1/{path}"
        async with self.http.request(method, url, headers=headers, **request) as response:
            return response.status, json.loads(await response.read())

    async def get(self, path: str) -> Any:
        """Return an answer that is one."""
        status, answer = await self.ask("GET", path)
        assert status == 200, answer
        return answer

    async def retire(
        self, pods: Iterable[str] | dict[str, str], count: int, wait: float = 5
    ) -> dict[str, Any]:
        """Ask once for the retirement of pods."""
        pods = pods if isinstance(pods, dict) else dict.fromkeys(pods, "")
        status, answer = await self.ask("POST", "retire", json={"pods": pods, "count": count, "wait": wait})
        assert status == 200, answer
        return {kind: sorted(answer[kind]) for kind in ("gone", "retiring")} | {"stuck": answer["stuck"]}

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """Ask until the answer is the one awaited."""
        async with asyncio.timeout(60):
            while not condition(answer := await self.get(path)):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)
        return answer

    async def stop(self) -> None:
        """End what was started here."""
        for pid in (*self.pids.values(), *self.forked):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.client is not None:
            self.client[1].close()
        if self.scheduler is not None:
            if self.scheduler.returncode is None:
                self.scheduler.kill()
            await self.scheduler.wait()

    async def _start_client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connected: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(
            lambda *streams: connected.set_result(streams), "127.0.0.1", 0, limit=2**24
        )
        port = server.sockets[0].getsockname()[1]
        options = {"scheduler": self.address, "folder": str(self.folder), "port": port}
        self.forked.append(self.nursery.fork("client", **options))
        async with asyncio.timeout(60):
            streams = await connected
        server.close()
        return streams


def is_running(pid: int) -> bool:
    """Return whether there is such a process; the nursery leaves no zombies."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def a_world(folder: Path, environment: Path, nursery: Nursery) -> AsyncIterator[World]:
    """A world for as long as it is needed."""
    async with aiohttp.ClientSession() as http:
        world = World(folder, environment, nursery, http)
        try:
            yield world
        finally:
            await world.stop()


@pytest.fixture
async def world(tmp_path: Path, environment: Path, nursery: Nursery) -> AsyncIterator[World]:
    """A world in which nothing has been started yet."""
    async with a_world(tmp_path, environment, nursery) as world:
        yield world


@pytest.fixture
async def dask(world: World) -> World:
    """A world with a scheduler and its agent."""
    await world.start()
    return world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_dask(
    tmp_path_factory: pytest.TempPathFactory, environment: Path, nursery: Nursery
) -> AsyncIterator[World]:
    """The same for tests that leave it as they have found it."""
    async with a_world(tmp_path_factory.mktemp("world"), environment, nursery) as world:
        await world.start()
        yield world
