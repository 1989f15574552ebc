"""The start and end of a cluster manager."""

import asyncio
import os
import signal
import threading
from contextlib import suppress

import pytest
from distributed import Scheduler

from dask_k8s_client.cluster_manager import ClusterManager


class Slow(ClusterManager):
    """Starts slowly, and needs a moment after a cancellation to learn what it has created."""

    knows_what_it_made = cleaned_up = False

    def __init__(self, is_starting):
        self.is_starting = is_starting
        super().__init__(name="slow", asynchronous=False, loop=None, quiet=True)

    async def _open(self):
        self.is_starting.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            self.knows_what_it_made = True

    async def _shut(self, timeout):
        self.cleaned_up = self.knows_what_it_made


@pytest.fixture
def interruptible():
    """Handle SIGINT, which a process in the background of a shell ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_start_cleans_up(interruptible):
    is_starting = threading.Event()

    def interrupt():
        is_starting.wait()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    slow = Slow.__new__(Slow)
    with pytest.raises(KeyboardInterrupt):
        slow.__init__(is_starting)
    assert slow.cleaned_up


async def test_what_nobody_awaits_is_done():
    """As the buttons in a notebook call an asynchronous cluster."""
    done = asyncio.Event()

    async def work():
        await asyncio.sleep(0)
        done.set()

    class Pressed(ClusterManager):
        def press(self):
            self._call(work)

    manager = Pressed(name="asynchronous", asynchronous=True, loop=None, quiet=True)
    manager.press()
    await done.wait()
    with suppress(NotImplementedError):  # it manages nothing
        await manager.close()


class Moving(ClusterManager):
    """Its scheduler is lost, and is elsewhere after some failures to find it."""

    def __init__(self, first, second, *failures):
        self.first, self.second = first, second
        self.failures = list(failures)
        super().__init__(name="moving", asynchronous=True, loop=None, quiet=True)

    async def _open(self):
        await self._connect(self.first.address)

    async def _shut(self, timeout):
        pass

    async def _find_again(self):
        if self.failures:
            raise self.failures.pop()
        return self.second.address


@pytest.mark.parametrize(
    "failures",
    [
        pytest.param([], id="at once"),
        pytest.param([ConnectionError("nobody listens")], id="not reachable yet"),
        pytest.param([RuntimeError("500 Internal Server Error")], id="Kubernetes has trouble"),
    ],
)
async def test_a_scheduler_that_moved_is_followed(failures):
    async with (
        Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as first,
        Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as second,
        Moving(first, second, *failures) as manager,
    ):
        assert manager.scheduler_info["id"] == first.id
        await first.close()
        async with asyncio.timeout(30):
            while manager.scheduler_info["id"] != second.id:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.01)
