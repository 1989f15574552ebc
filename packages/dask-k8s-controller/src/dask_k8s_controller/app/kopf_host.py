"""The door to kopf: it owns the process, its signals and logs, and runs the handlers of plugins.

Our own kinds are watched by the informers: kopf does not list again after it lost a watch for too long,
so that a deletion can escape it. Nothing else here imports `kopf`.
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
from dask_k8s_controller.runtime.login import Credentials

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""So long kopf waits for an API server that is away or refuses."""
REFUSALS = 15
"""So often its credentials are read again before it has to log in anew."""


def configure_logs(log_format: str, *, verbose: bool, quiet: bool) -> None:
    """Set up logging as kopf does: ``plain``, ``full`` or ``json``."""
    kopf.configure(verbose=verbose, quiet=quiet, log_format=kopf.LogFormat[log_format.upper()])
    # Its lines per handler and login tell platform teams nothing; what fails is logged by kopf.objects.
    for name in ("kopf.activities", "kopf._core.engines.activities"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def run(
    main: Callable[[], Coroutine[Any, Any, None]], settings: Settings, leads: asyncio.Event
) -> None:
    """Run ``main`` until a signal, and raise what ended it otherwise.

    Plugins' handlers are served by kopf from when it ``leads``.
    """
    stop = asyncio.Event()
    asked = asyncio.Event()
    _stop_at_signals(stop, asked)
    task = asyncio.create_task(main(), name="dask-k8s-controller")
    task.add_done_callback(lambda _: stop.set())
    first = [asyncio.create_task(event.wait()) for event in (leads, stop)]
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    for waiting in first:
        waiting.cancel()
    try:
        if not stop.is_set():
            await _serve_plugins(task, settings, stop, asked)
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _serve_plugins(
    main: asyncio.Task[None], settings: Settings, stop: asyncio.Event, asked: asyncio.Event
) -> None:
    """Run a kopf operator until ``stop``; ``main`` ends when its handlers have."""
    namespaces, watch_seconds = settings.namespaces, settings.watch_seconds

    @kopf.on.startup()
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.level = logging.WARNING
        settings.scanning.disabled = bool(namespaces)
        # By default it gives up after a minute, and ends with it what runs well.
        settings.networking.error_backoffs = itertools.repeat(RETRY_SECONDS)
        settings.watching.server_timeout = watch_seconds
        settings.watching.client_timeout = watch_seconds * 1.5

    @kopf.on.cleanup()
    async def end(**_: Any) -> None:
        main.cancel()
        await asyncio.wait([main])

    @kopf.on.login()
    async def login(**_: Any) -> kopf.AiohttpSession:
        credentials = Credentials()
        await credentials.load()
        context = credentials.ssl_context()
        session = credentials.session(context, _whole_answer, _authorization(credentials, context))
        return kopf.AiohttpSession(server=credentials.server, aiohttp_session=session)

    others = asyncio.all_tasks()
    kopfs = await kopf.spawn_tasks(
        # It would ask for the name of a user, and in a container a user is often a number and no more.
        identity="dask-k8s-controller",  # type: ignore[arg-type]  # whose type it does not export
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    _stop_at_signals(stop, asked)  # kopf has put its own in their place
    try:
        await kopf.run_tasks(kopfs, ignored=others)
    except Exception:
        # On its way out it closes its session while it may still look for resources: no failure then.
        if not asked.is_set():
            raise
        logger.debug("kopf stumbled while it stopped", exc_info=True)


async def _whole_answer(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Make what is cut in an answer a failure of the connection, after which kopf sends again.

    It reads an answer where it repeats nothing: what is cut would end the operator.
    """
    response = await send(request)
    if request.method == "GET" and response.ok and "watch" not in request.url.query:
        try:
            whole = await response.json() is not None
        except (aiohttp.ClientError, ValueError) as error:
            raise aiohttp.ClientConnectionError(f"the answer is cut: {error}") from error
        if not whole:
            raise aiohttp.ClientConnectionError("the answer is empty")
    return response


def _authorization(credentials: Credentials, context: ssl.SSLContext) -> aiohttp.ClientMiddlewareType:
    """Return what authorizes kopf's requests, each with the credentials of its moment.

    What is refused all the same is sent again: kopf would close the session under its other requests, and
    some of those end the operator then. Only what is refused for long makes it log in anew.
    """

    async def authorize(
        request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        refusals = 0
        while True:
            try:
                if value := await credentials.authorization():
                    request.headers["Authorization"] = value
                response = await send(request)
            except aiohttp.ClientSSLError:
                # Its authority may be another one now; kopf tries again, as after any broken connection.
                with contextlib.suppress(OSError):
                    await credentials.load()
                    credentials.trust(context)
                raise
            except ConnectionError as error:
                if isinstance(error, aiohttp.ClientError):
                    raise
                raise aiohttp.ClientConnectionError(str(error)) from error
            if not credentials.refused(response.status) or refusals == REFUSALS:
                return response
            refusals += 1
            response.release()
            await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(ConnectionError):
                await credentials.load()

    return authorize


def _stop_at_signals(*events: asyncio.Event) -> None:
    """Set these at the signals that end a process."""

    def leave(number: signal.Signals) -> None:
        logger.info("%s: stopping", number.name)
        for event in events:
            event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, leave, number)
