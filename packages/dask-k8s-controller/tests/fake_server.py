"""An HTTP server with the answers that a test sets; a kubeconfig leads the controller to it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(code: int, reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    """A ``Status`` object."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return {**body, "code": code, "reason": reason, "message": message, "details": details}


class FakeServer:
    """Notes requests; ``answer`` makes the responses."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.asked = asyncio.Event()
        """Set at each request, and replaced by a new one."""
        self.answer: Answer = _nothing
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        self._url = ""

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # noqa: SLF001 - the port that the system chose
        self._url = f"http://127.0.0.1:{port}"
        self.give("first")

    async def stop(self) -> None:
        await self._runner.cleanup()

    def give(self, token: str) -> None:
        """Write a kubeconfig with this token."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "clusters": [{"name": "fake", "cluster": {"server": self._url}}],
            "users": [{"name": "fake", "user": {"token": token}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        self.asked.set()
        self.asked = asyncio.Event()
        return await self.answer(request)


async def _nothing(_: web.Request) -> web.StreamResponse:
    return web.json_response(status(404, "NotFound"), status=404)
