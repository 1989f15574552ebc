"""What all tests of this package share."""

import asyncio
import os
from pathlib import Path

import pytest

# Or Python 3.11 makes a loop when pytest-asyncio asks for it, and nobody closes it.
asyncio.set_event_loop(None)


@pytest.fixture
def alive():
    """Return whether a process runs; one that only waits to be reaped does not."""

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
    """Wait for what nobody announces."""

    async def until(condition, seconds=30):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # that is the point
                await asyncio.sleep(0.01)

    return until
