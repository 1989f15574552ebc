"""The line between a controller and the API server: requests get lost on it, answers too; events are late."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from dask_k8s_controller.runtime.login import Credentials

WATCH = "watch"


class Client:
    """Requests to the API server, as the test itself makes them."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._ssl = credentials.ssl_context() if credentials.server.startswith("https") else True

    async def close(self) -> None:
        await self._session.close()

    async def send(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", **more.pop("headers", {})}
        if authorization := await self._credentials.authorization():
            headers["Authorization"] = authorization
        timeout = aiohttp.ClientTimeout(total=None)
        url = self._credentials.server + path
        return await self._session.request(
            method, url, headers=headers, ssl=self._ssl, timeout=timeout, **more
        )

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's body, None where there is no such object, or not any more as it was."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with await self.send(method, path, json=body, headers={"Content-Type": kind}) as response:
            answer = await response.json()
        assert response.status < 400 or response.status in {404, 409}, (method, path, answer)
        return answer if response.status < 400 else None


class Fate(Enum):
    """What becomes of the write at which a controller is killed."""

    LOST = "it never arrives"
    DONE = "it is done, and nobody hears of it"
    LATE = "it arrives when the next controller is there"


@dataclass
class Line:
    """What goes over the line in one namespace, and what happens to it."""

    strike_at: int = 0
    """At this write the line is struck, and the controller is to be killed; 0: never."""
    fate: Fate = Fate.LOST
    refuse: Callable[[web.BaseRequest], web.Response | None] = lambda _: None
    """Answers in the server's place."""
    late: float = 0.0
    """Watch events are as late as this at most."""
    writes: list[str] = field(default_factory=list)
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: set[asyncio.Task[Any]] = field(default_factory=set)
    _arrive: asyncio.Event = field(default_factory=asyncio.Event)

    async def mend(self) -> None:
        """Let requests pass again, after those that the server has got have come to their end."""
        if self._under_way and self.fate is not Fate.LATE:
            await asyncio.wait(self._under_way)
        self.struck.clear()

    async def deliver(self) -> None:
        """Let arrive what was late."""
        self._arrive.set()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def carry(self, request: web.BaseRequest, send: Callable[[], Any]) -> web.StreamResponse:
        """Pass a request on, and the answer back."""
        if self.struck.is_set():
            return await _nothing()
        strikes = False
        if request.method != "GET":
            self.writes.append(f"{request.method} {request.path}")
            strikes = len(self.writes) == self.strike_at
        if strikes and self.fate is not Fate.DONE:
            self.struck.set()
            if self.fate is Fate.LATE:
                self._go(self._later(send))
            return await _nothing()
        if refusal := self.refuse(request):
            return refusal
        answer = await asyncio.shield(self._go(send()))
        if strikes:
            self.struck.set()
        return await _nothing() if self.struck.is_set() else answer

    async def _later(self, send: Callable[[], Any]) -> None:
        await self._arrive.wait()
        await send()

    def _go(self, sending: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(sending)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task


async def _nothing() -> web.StreamResponse:
    """No answer until the one who asked has hung up."""
    await asyncio.Event().wait()
    raise AssertionError


class Proxy:
    """An API server to controllers, with a line for each namespace."""

    def __init__(self, client: Client, directory: Path) -> None:
        self.lines: dict[str, Line] = {}
        self.kubeconfig = directory / "kubeconfig-of-the-proxy"
        self._client = client
        # Who hangs up wants no answer: watches end, and what waits for ever, too.
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True), shutdown_timeout=0.1
        )

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://{host}:{port}"}}],
            "users": [{"name": "proxy", "user": {}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        line = self.lines[request.path.split("/namespaces/")[1].split("/")[0]]
        if WATCH in request.query:
            return await self._watch(request, line)
        body = await request.read()
        return await line.carry(request, lambda: self._send(request, body))

    async def _send(self, request: web.BaseRequest, body: bytes) -> web.Response:
        kind = {"Content-Type": request.headers["Content-Type"]} if body else {}
        async with await self._client.send(
            request.method, request.path, params=request.query, data=body or None, headers=kind
        ) as answer:
            text = await answer.read()
            return web.Response(
                body=text, status=answer.status, reason=answer.reason, content_type="application/json"
            )

    async def _watch(self, request: web.BaseRequest, line: Line) -> web.StreamResponse:
        async with await self._client.send("GET", request.path, params=request.query) as answer:
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            async for event in answer.content:
                if line.late:
                    await asyncio.sleep(random.uniform(0, line.late))
                await response.write(event)
        return response
