"""The HTTP endpoints `/livez`, `/readyz` and `/metrics`. What they report is decided by `Operator`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from dask_k8s_controller.app import metrics
from dask_k8s_controller.app.operator import Operator


@asynccontextmanager
async def serve(operator: Operator, address: str) -> AsyncIterator[None]:
    """Serve the endpoints at ``host:port`` while the context lasts; do nothing if the address is empty.

    An IPv6 address may be in brackets, or not, as ``$(POD_IP):8080`` is.
    """
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")

    async def livez(_: web.Request) -> web.Response:
        return _response(operator, operator.problems())

    async def readyz(_: web.Request) -> web.Response:
        return _response(operator, operator.unready() + operator.problems())

    application = web.Application()
    routes = {"/livez": livez, "/readyz": readyz, "/metrics": make_aiohttp_handler()}
    application.add_routes([web.get(path, handler) for path, handler in routes.items()])
    runner = web.AppRunner(application, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.removeprefix("[").removesuffix("]"), int(port)).start()
        with metrics.registered(operator):
            yield
    finally:
        await runner.cleanup()


def _response(operator: Operator, problems: list[str]) -> web.Response:
    healthy = ", ".join(filter(None, ["ok", operator.role()]))
    return web.Response(text="\n".join(problems) or healthy, status=503 if problems else 200)
