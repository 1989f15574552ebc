"""Take keys from the queue and reconcile them, many at a time; decide from the outcome when to look again."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from prometheus_client import Counter, Histogram

from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconcile
from dask_k8s_controller.runtime.results import WriteError
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_controller.runtime.world import World
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

logger = logging.getLogger(__name__)

AT_A_TIME = 256
"""Reconciles that run at the same time; their requests share the throttle."""

_SECONDS = Histogram(
    "dask_k8s_reconcile_duration_seconds",
    "Time that a reconcile took.",
    ["kind"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60),
)
_ERRORS = Counter(
    "dask_k8s_reconcile_errors", "Reconciles that failed, by what was to blame.", ["kind", "cause"]
)
_API, _DEFECT = "api", "defect"


@dataclass(frozen=True, slots=True)
class Loop:
    """Reconciles what the queue hands out."""

    queue: WorkQueue[Key]
    reconcilers: Mapping[Resource, Reconcile[Any]]
    world: World

    async def run(self) -> None:
        """Run until cancelled."""
        for resource, cause in product(self.reconcilers, (_API, _DEFECT)):
            _ERRORS.labels(resource.kind, cause)  # 0 until there is one: else the first would be no increase
        free = asyncio.Semaphore(AT_A_TIME)
        async with asyncio.TaskGroup() as turns:
            while True:
                await free.acquire()
                turn = turns.create_task(self._turn(await self.queue.get()))
                turn.add_done_callback(lambda _: free.release())

    async def _turn(self, key: Key) -> None:
        try:
            with _SECONDS.labels(key.resource.kind).time():
                after = await self.reconcilers[key.resource](key, self.world)
            again_after = after.seconds if after else None
        except Exception as error:  # noqa: BLE001 - a surprise in one object must not stop the others
            self._failed(key, error)
        else:
            self.queue.done(key, again_after=again_after)

    def _failed(self, key: Key, error: Exception) -> None:
        errors = _leaves(error)
        refusals = [error for error in errors if isinstance(error, ApiError | WriteError)]
        asked = max((_refusal(error).retry_after or 0.0 for error in refusals), default=0.0)
        wait = self.queue.failed(key, at_least=asked)
        refused = len(refusals) == len(errors)
        _ERRORS.labels(key.resource.kind, _API if refused else _DEFECT).inc()
        if refused:
            # Refused credentials are said once for all requests where they are sent.
            known = all(_refusal(error).status == 401 for error in refusals)
            level = logging.DEBUG if known else logging.WARNING
            logger.log(level, "%s: %s; next try in %.1f s", key, _summary(errors), wait)
        else:
            logger.error("%s: the reconcile failed; next try in %.1f s", key, wait, exc_info=error)


def _refusal(error: ApiError | WriteError) -> ApiError:
    return error.error if isinstance(error, WriteError) else error


def _leaves(error: Exception) -> list[Exception]:
    if isinstance(error, ExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _summary(errors: list[Exception]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{errors[0]}{more}"
