"""Of `kills`, the writes that are done later: a file of its own, for a process of its own."""

import pytest

from .kills import kill_at_every_write
from .line import Fate

pytestmark = pytest.mark.core


@pytest.mark.timeout(600)
@pytest.mark.alone
async def test_killed_at_every_write(stage, unique):
    await kill_at_every_write(stage, unique, Fate.LATE)
