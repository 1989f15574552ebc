"""One deadline for the whole start, handed to every step of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dask_k8s_client.exceptions import SchedulerStartupTimeout
from dask_k8s_client.waiting.progress import Progress


class Deadline:
    """So many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = asyncio.get_running_loop().time() + seconds

    @property
    def left(self) -> float:
        """Seconds; not positive once it has passed."""
        return self.at - asyncio.get_running_loop().time()

    @asynccontextmanager
    async def enforced(self, progress: Progress, spare: float = 0) -> AsyncIterator[None]:
        """Break off what is still going on when it passes, and say what that was.

        So many seconds before, if breaking off takes `spare` seconds.
        """
        try:
            async with asyncio.timeout_at(self.at - spare) as timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            limit = f"{self.seconds:.0f} s"
            raise SchedulerStartupTimeout(
                f"the cluster {progress.name} did not start within {limit}: still {progress.doing}"
                + (f"; {progress.hint}" if progress.hint else "")
            ) from error
