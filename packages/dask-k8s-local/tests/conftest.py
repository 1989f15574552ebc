"""Fixtures of all tests of this package."""

import asyncio
import os
from pathlib import Path

import pytest

# Otherwise, pytest-asyncio makes Python 3.11 create an event loop that is never closed.
asyncio.set_event_loop(None)


@pytest.fixture
def alive():
    """A function that returns whether a process is running; zombies are not."""

    def alive(pid):
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat")
            return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
        except ProcessLookupError:
            return False

    return alive


@pytest.fixture
def until():
    """A function that polls a condition."""

    async def until(condition, seconds=30):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # that is the point
                await asyncio.sleep(0.01)

    return until
