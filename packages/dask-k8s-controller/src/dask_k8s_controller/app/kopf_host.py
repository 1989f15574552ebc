"""Runs kopf, which owns the process, its signals and logs, and serves the handlers of plugins.

The only module that imports `kopf`. Our own resources are watched by informers, because kopf does not list
again after it lost a watch for too long, so that it can miss a deletion.
"""

import asyncio
import contextlib
import itertools
import logging
import signal
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import kopf

from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.runtime.login import Credentials, has_proxy

logger = logging.getLogger(__name__)

REQUEST_RETRY_SECONDS = 2.0
"""Delay before kopf sends a request again that the API server did not answer or did not authenticate."""
MAX_LOGIN_RETRIES = 15
"""How often one request is sent again with credentials that were loaded again, before kopf logs in again."""


def configure_logs(log_format: str, *, verbose: bool, quiet: bool) -> None:
    """Set up logging as kopf does: ``plain``, ``full`` or ``json``."""
    kopf.configure(verbose=verbose, quiet=quiet, log_format=kopf.LogFormat[log_format.upper()])
    # Only successes of logins and startup handlers: kopf.objects logs what fails.
    for name in ("kopf.activities", "kopf._core.engines.activities"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def run(
    main: Callable[[], Coroutine[Any, Any, None]], settings: Settings, leading: asyncio.Event
) -> None:
    """Run ``main`` until a signal comes or it ends; if it fails, raise its error.

    kopf serves the handlers of plugins once ``leading`` is set.
    """
    stop, signalled = asyncio.Event(), asyncio.Event()
    _set_at_signals(stop, signalled)
    task = asyncio.create_task(main(), name="dask-k8s-controller")
    task.add_done_callback(lambda _: stop.set())
    waiters = [asyncio.create_task(event.wait()) for event in (leading, stop)]
    await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()
    try:
        if not stop.is_set():
            await _serve_handlers(task, settings, stop, signalled)
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _serve_handlers(
    main: asyncio.Task[None], ours: Settings, stop: asyncio.Event, signalled: asyncio.Event
) -> None:
    """Run a kopf operator until ``stop`` is set, then cancel ``main`` once the handlers have ended."""

    @kopf.on.startup()
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.level = logging.WARNING
        settings.scanning.disabled = bool(ours.namespaces)
        # By default kopf gives up after a minute, and would end the whole process.
        settings.networking.error_backoffs = itertools.repeat(REQUEST_RETRY_SECONDS)
        settings.watching.server_timeout = ours.watch_seconds
        settings.watching.client_timeout = ours.watch_seconds * 1.5

    @kopf.on.cleanup()
    async def end(**_: Any) -> None:
        main.cancel()
        await asyncio.wait([main])

    @kopf.on.login()
    async def login(**_: Any) -> kopf.AiohttpSession:
        credentials = Credentials()
        await credentials.load()
        context = credentials.ssl_context()
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            middlewares=(_require_whole_response, _authorize(credentials, context)),
            trust_env=has_proxy(),
        )
        return kopf.AiohttpSession(server=credentials.server, aiohttp_session=session)

    other_tasks = asyncio.all_tasks()
    kopf_tasks = await kopf.spawn_tasks(
        # By default kopf looks up the user's name, which fails in a container whose user is only a number.
        identity="dask-k8s-controller",  # type: ignore[arg-type]  # kopf does not export its type
        standalone=True,
        clusterwide=not ours.namespaces,
        namespaces=ours.namespaces,
        stop_flag=stop,
    )
    _set_at_signals(stop, signalled)  # kopf has replaced our signal handlers with its own
    try:
        await kopf.run_tasks(kopf_tasks, ignored=other_tasks)
    except Exception:
        # When kopf stops, it closes its session while it may still scan for resources: not a failure.
        if not signalled.is_set():
            raise
        logger.debug("kopf failed while it stopped", exc_info=True)


async def _require_whole_response(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn a truncated response into a connection error, after which kopf sends the request again.

    kopf itself reads the response where it does not retry: a truncated one would end the operator.
    """
    response = await send(request)
    if request.method == "GET" and response.ok and "watch" not in request.url.query:
        try:
            is_empty = await response.json() is None
        except (aiohttp.ClientError, ValueError) as error:
            raise aiohttp.ClientConnectionError(f"the response is truncated: {error}") from error
        if is_empty:
            raise aiohttp.ClientConnectionError("the response is empty")
    return response


def _authorize(credentials: Credentials, context: ssl.SSLContext) -> aiohttp.ClientMiddlewareType:
    """Return a middleware that authorizes kopf's requests, each with the credentials that are valid then.

    A request that is not authenticated is sent again: otherwise kopf would close the session while other
    requests use it, and some of those would end the operator. Only after `MAX_LOGIN_RETRIES` does kopf see
    the response and log in again.
    """

    async def authorize(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        retries = 0
        while True:
            try:
                if value := await credentials.authorization():
                    request.headers["Authorization"] = value
                response = await send(request)
            except aiohttp.ClientSSLError:
                # The certificate authority may have been replaced; kopf retries after connection errors.
                with contextlib.suppress(OSError):
                    await credentials.load()
                    credentials.trust(context)
                raise
            except ConnectionError as error:
                if isinstance(error, aiohttp.ClientError):
                    raise
                raise aiohttp.ClientConnectionError(str(error)) from error
            if not credentials.is_unauthenticated(response.status) or retries == MAX_LOGIN_RETRIES:
                return response
            retries += 1
            response.release()
            await asyncio.sleep(REQUEST_RETRY_SECONDS)
            with contextlib.suppress(ConnectionError):
                await credentials.load()

    return authorize


def _set_at_signals(*events: asyncio.Event) -> None:
    """Set the events at the signals that end a process."""

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s: stopping", number.name)
        for event in events:
            event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
