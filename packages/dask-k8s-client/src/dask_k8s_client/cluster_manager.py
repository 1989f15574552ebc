"""The typed border to ``distributed``: a cluster manager that starts once, ends once and reconnects.

This module knows nothing of Kubernetes.
"""
# mypy: allow-untyped-calls

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Self

import dask.config
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.utils import NoOpAwaitable, format_dashboard_link
from tornado.ioloop import IOLoop

from dask_k8s_client.waiting import backoff

logger = logging.getLogger("dask_k8s_client")

CLOSE_TIMEOUT = 3600.0
CLEANUP_TIMEOUT = 10.0
"""For a scheduler that hangs, and for the clean-up after a failed start."""


class ClusterManager(Cluster):
    """A cluster manager of Dask for a cluster that lives elsewhere.

    It starts when it is made, or when it is awaited if it is asynchronous. A subclass says how to open and
    close the cluster, and how to find a scheduler that has moved.
    """

    def __init__(
        self, *, name: str, asynchronous: bool, loop: IOLoop | None, quiet: bool, **kwargs: Any
    ) -> None:
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[Any]] = set()
        super().__init__(name=name, asynchronous=asynchronous, loop=loop, quiet=quiet, **kwargs)
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._start)
            except BaseException:
                # After an interrupt, the start is still running; it must clean up before the loop stops.
                with suppress(Exception):
                    self.sync(self._close)
                self._loop_runner.stop()
                raise

    async def _open(self) -> None:
        """Bring up the cluster and call `_connect`."""
        raise NotImplementedError

    async def _shut(self, timeout: float) -> None:
        """Delete or release the cluster, which may be started only in part."""
        raise NotImplementedError

    async def _find_again(self) -> str:
        """Return the scheduler's present address after its connection was lost, or raise an exception."""
        raise NotImplementedError

    async def _connect(self, address: str) -> None:
        """Connect to the scheduler."""
        self.scheduler_comm = rpc(address)
        await super()._start()

    def __await__(self) -> Generator[Any, Any, Self]:
        async def started() -> Self:
            if self.status in (Status.created, Status.starting):
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        if self._starting is None:
            self.status = Status.starting
            self._starting = asyncio.create_task(self._start_once())
        await self._starting

    async def _start_once(self) -> None:
        try:
            await self._open()
        except BaseException:
            try:
                await self._end(CLEANUP_TIMEOUT)
            except Exception as error:  # noqa: BLE001  # the reason of the failed start matters more
                logger.warning("the cluster %s may be left behind: %s", self.name, error)
            raise

    async def _watch_worker_status(self, comm: Any) -> None:
        """Keep `scheduler_info` up to date, also after a lost connection and with a new scheduler."""
        while comm is not None:
            await super()._watch_worker_status(comm)
            comm = await self._subscribe_again()

    async def _subscribe_again(self) -> Any:
        scheduler: Any = self.scheduler_comm
        delays = backoff()
        # The status is checked too, because comms are known to swallow a cancellation.
        while self.status not in (Status.closing, Status.closed):
            await asyncio.sleep(next(delays))
            try:
                if (address := await self._find_again()) != scheduler.address:
                    await scheduler.close_rpc()
                    self.scheduler_comm = scheduler = rpc(address)
                comm = self._watch_worker_status_comm = await scheduler.live_comm()
                await comm.write({"op": "subscribe_worker_status"})
                self.scheduler_info = SchedulerInfo(await comm.read())
            except Exception as error:  # noqa: BLE001  # it may be temporary, and nobody else would retry
                logger.info("no way to the scheduler of the cluster %s: %s", self.name, error)
            else:
                return comm
        return None

    def close(self, timeout: float | None = CLOSE_TIMEOUT) -> Any:
        """Delete the cluster or only disconnect, as ``shutdown_on_close`` says, within `timeout` seconds."""
        if self.status is Status.closed:
            return NoOpAwaitable() if self.asynchronous else None
        asynchronous = self.asynchronous
        try:
            return self.sync(self._close, CLOSE_TIMEOUT if timeout is None else timeout)
        finally:
            if not asynchronous:
                self._loop_runner.stop()

    async def _close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        if self._starting is not None and not self._starting.done():
            # Cancel once only: a second time, as after an interrupt, would cancel the clean-up.
            if not self._starting.cancelling():
                self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._end(timeout)

    async def _end(self, timeout: float) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end_once(timeout))
        # It goes on even if the caller is cancelled.
        await asyncio.shield(self._ending)

    async def _end_once(self, timeout: float) -> None:
        self.status = Status.closing
        try:
            await self._disconnect()
            await self._shut(timeout)
        finally:
            self.status = Status.closed
            if refresh := self.periodic_callbacks.get("cluster-repr"):
                refresh.callback()  # notebooks show the final state

    async def _disconnect(self) -> None:
        """Close the comms. A scheduler that is gone or hangs does not delay the rest."""
        if watching := self._watch_worker_status_task:
            self._watch_worker_status_task = None
            watching.cancel()
            await asyncio.wait({watching}, timeout=CLEANUP_TIMEOUT)
        try:
            async with asyncio.timeout(CLEANUP_TIMEOUT):
                await super()._close()
        except OSError as error:  # a time-out is an OSError
            logger.info("closing the connection to the scheduler: %s", error)
        self.status = Status.closing

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a coroutine function on the loop; return its result, or an awaitable if asynchronous.

        The awaitable is a task where that is possible, because the buttons in a notebook do not await it.
        """
        result = self.sync(function, *args)
        if not asyncio.iscoroutine(result):
            return result
        try:
            task = asyncio.create_task(result)
        except RuntimeError:  # the caller is in another thread, and awaits it on the loop
            return result
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task


def dashboard_link(host: str, port: int, prefix: str | None = "") -> str:
    """Return the dashboard's URL in the form that Dask's configuration demands; empty if there is none.

    Args:
        host: The host of the dashboard.
        port: Its port.
        prefix: Its path, for example ``/team/dask``; None if the scheduler has no dashboard. It follows the
            port, unless the configured form contains it.
    """
    if prefix is None:
        return ""
    if prefix in dask.config.get("distributed.dashboard.link"):
        prefix = ""
    link: str = format_dashboard_link(host, f"{port}{prefix}")
    return link
