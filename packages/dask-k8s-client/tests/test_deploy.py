"""How a cluster manager starts and ends, whatever it manages."""

import asyncio
import os
import signal
import threading
from contextlib import suppress

import pytest

from dask_k8s_client.manager.deploy import Manager


class Slow(Manager):
    """Takes its time to start, and a moment to learn what it has made when it is not to start any more."""

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
    """Who runs in a shell's background ignores the signal."""
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

    class Pressed(Manager):
        def press(self):
            self._call(work)

    manager = Pressed(name="asynchronous", asynchronous=True, loop=None, quiet=True)
    manager.press()
    await done.wait()
    with suppress(NotImplementedError):  # it manages nothing
        await manager.close()
