"""What is asked by HTTP: `/livez`, well unless deaf or stuck, `/readyz`, well once ready, and `/metrics`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from dask_k8s_controller.app import metrics
from dask_k8s_controller.app.operator import Operator


@asynccontextmanager
async def serve(operator: Operator, address: str) -> AsyncIterator[None]:
    """Answer at ``host:port`` while the context lasts; nothing where the address is empty."""
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")

    async def livez(_: web.Request) -> web.Response:
        return _answer(operator, operator.problems())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(operator, operator.unready() + operator.problems())

    application = web.Application()
    routes = {"/livez": livez, "/readyz": readyz, "/metrics": make_aiohttp_handler()}
    application.add_routes([web.get(path, handler) for path, handler in routes.items()])
    runner = web.AppRunner(application, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, int(port)).start()
        with metrics.collected(operator):
            yield
    finally:
        await runner.cleanup()


def _answer(operator: Operator, problems: list[str]) -> web.Response:
    fine = ", ".join(filter(None, ["ok", operator.role()]))
    return web.Response(text="\n".join(problems) or fine, status=503 if problems else 200)
