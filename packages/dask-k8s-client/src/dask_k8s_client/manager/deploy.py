"""The door to `distributed`, which is partly untyped: a cluster manager whose cluster lives elsewhere."""
# mypy: allow-untyped-calls

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Self

from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.utils import Log, Logs, NoOpAwaitable, format_dashboard_link
from tornado.ioloop import IOLoop

logger = logging.getLogger("dask_k8s_client")

# For what is not waited for much: a scheduler that hangs, the clean-up after a failure.
FAREWELL = 10.0
CLOSE_TIMEOUT = 3600.0
_RETRY_FIRST, _RETRY_MOST = 0.1, 5.0


class Manager(Cluster):
    """Starts when it is made, or awaited if it is asynchronous; starts once and ends once, whoever asks."""

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
                # An interrupt leaves the start running; it must have cleaned up before the loop goes.
                with suppress(Exception):
                    self.sync(self._close)
                self._loop_runner.stop()
                raise

    async def _open(self) -> None:
        """Bring up the cluster and call `_join`."""
        raise NotImplementedError

    async def _shut(self, timeout: float) -> None:
        """Bring down the cluster, or what there is of it."""
        raise NotImplementedError

    async def _find_again(self) -> str:
        """The scheduler's address after the connection to it was lost; an exception if there is none now."""
        raise NotImplementedError

    async def _join(self, address: str) -> None:
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
                await self._end(FAREWELL)
            except Exception as error:  # noqa: BLE001  # why it did not start matters more
                logger.warning("the cluster %s may be left behind: %s", self.name, error)
            raise

    async def _watch_worker_status(self, comm: Any) -> None:
        """Keep `scheduler_info` up to date, also past a lost connection and a new scheduler."""
        while comm is not None:
            await super()._watch_worker_status(comm)
            comm = await self._subscribe_again()

    async def _subscribe_again(self) -> Any:
        scheduler: Any = self.scheduler_comm
        delay = _RETRY_FIRST
        # Not by cancellation alone: comms are known to swallow it.
        while self.status not in (Status.closing, Status.closed):
            await asyncio.sleep(delay)
            try:
                if (address := await self._find_again()) != scheduler.address:
                    await scheduler.close_rpc()
                    self.scheduler_comm = scheduler = rpc(address)
                comm = self._watch_worker_status_comm = await scheduler.live_comm()
                await comm.write({"op": "subscribe_worker_status"})
                self.scheduler_info = SchedulerInfo(await comm.read())
            except Exception as error:  # noqa: BLE001  # it may pass, and nobody else would look again
                logger.info("no way to the scheduler of the cluster %s: %s", self.name, error)
            else:
                return comm
            delay = min(2 * delay, _RETRY_MOST)
        return None

    def close(self, timeout: float | None = CLOSE_TIMEOUT) -> Any:
        """Delete the cluster, or let go of it, as ``shutdown_on_close`` says, within `timeout` seconds."""
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
            # Not twice, as after an interrupt: the clean-up that the first one has begun would be cut off.
            if not self._starting.cancelling():
                self._starting.cancel()
            await asyncio.wait({self._starting})
        await self._end(timeout)

    async def _end(self, timeout: float) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end_once(timeout))
        # Whoever waits may give up; the end goes on.
        await asyncio.shield(self._ending)

    async def _end_once(self, timeout: float) -> None:
        self.status = Status.closing
        try:
            await self._leave()
            await self._shut(timeout)
        finally:
            self.status = Status.closed

    async def _leave(self) -> None:
        """End the comms. A scheduler that is gone or hangs must not hold up the rest."""
        if watching := self._watch_worker_status_task:
            self._watch_worker_status_task = None
            watching.cancel()
            await asyncio.wait({watching}, timeout=FAREWELL)
        try:
            async with asyncio.timeout(FAREWELL):
                await super()._close()
        except OSError as error:  # time-outs are OSErrors too
            logger.info("closing the connection to the scheduler: %s", error)
        self.status = Status.closing

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a coroutine function on the loop: its result, or an awaitable where we are asynchronous.

        That is a task, if it can be one: the buttons in a notebook await nothing.
        """
        result = self.sync(function, *args)
        if not asyncio.iscoroutine(result):
            return result
        try:
            task = asyncio.create_task(result)
        except RuntimeError:  # called from another thread, to be awaited on the loop
            return result
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task


def dashboard_link(host: str, port: int) -> str:
    """As Dask's configuration wants it."""
    link: str = format_dashboard_link(host, port)
    return link


def as_logs(texts: dict[str, str]) -> Logs:
    """As notebooks show them."""
    return Logs({name: Log(text) for name, text in texts.items()})
