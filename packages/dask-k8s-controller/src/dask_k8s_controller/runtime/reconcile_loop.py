"""Reconciles the keys of the work queue, all at the same time, without knowing what a reconcile does.

The number of reconciles that run is not limited: one that has begun only waits, for a write or for an agent.
Those share the slots of a throttle; a slot of its own would let reconciles that wait delay all others. A key
runs once at a time, so there are at most as many as objects in the cache, each of which takes more memory.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from prometheus_client import Counter, Histogram

from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Reconcile
from dask_k8s_controller.runtime.results import flattened
from dask_k8s_controller.runtime.work_queue import WorkQueue
from dask_k8s_controller.runtime.world import World
from dask_k8s_crds.api_errors import ApiError
from dask_k8s_crds.resources import Resource

logger = logging.getLogger(__name__)

RECONCILE_SECONDS = Histogram(
    "dask_k8s_reconcile_duration_seconds",
    "Duration of a reconcile.",
    ["kind"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60),
)
RECONCILE_ERRORS = Counter("dask_k8s_reconcile_errors", "Failed reconciles, by cause.", ["kind", "cause"])
_API, _DEFECT = "api", "defect"


@dataclass(frozen=True, slots=True)
class ReconcileLoop:
    """Reconciles the keys of the work queue, except those for which ``may_reconcile`` returns False."""

    queue: WorkQueue
    reconcilers: Mapping[Resource, Reconcile[Any]]
    world: World
    may_reconcile: Callable[[Key], bool] = lambda _: True

    async def run(self) -> None:
        """Run until cancelled."""
        for resource, cause in product(self.reconcilers, (_API, _DEFECT)):
            # Export 0 from the start: Prometheus sees no increase in a series that begins with 1.
            RECONCILE_ERRORS.labels(resource.kind, cause)
        async with asyncio.TaskGroup() as tasks:
            while True:
                key = await self.queue.get()
                if self.may_reconcile(key):
                    tasks.create_task(self._reconcile(key))
                else:
                    self.queue.done(key)
                # One begins per pass of the event loop, so that many do not delay requests and probes.
                await asyncio.sleep(0)

    async def _reconcile(self, key: Key) -> None:
        try:
            with RECONCILE_SECONDS.labels(key.resource.kind).time():
                after = await self.reconcilers[key.resource](key, self.world)
            again_after = after.seconds if after else None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Something that it awaited was cancelled, not the reconcile.
            self._retry(key, RuntimeError(f"the reconcile ended with {error!r}"))
        except Exception as error:  # noqa: BLE001  # a defect in one reconcile must not stop the others
            self._retry(key, error)
        else:
            self.queue.done(key, again_after=again_after)

    def _retry(self, key: Key, error: Exception) -> None:
        errors = flattened(error)
        api_errors = [error for error in errors if isinstance(error, ApiError)]
        retry_after = max((error.retry_after or 0.0 for error in api_errors), default=0.0)
        delay = self.queue.failed(key, at_least=retry_after)
        is_defect = len(api_errors) < len(errors)
        RECONCILE_ERRORS.labels(key.resource.kind, _DEFECT if is_defect else _API).inc()
        if is_defect:
            logger.error("%s: the reconcile failed; retrying in %.1f s", key, delay, exc_info=error)
        else:
            # `Api` logs rejected credentials once for all requests.
            rejected = all(error.status == 401 for error in api_errors)
            level = logging.DEBUG if rejected else logging.WARNING
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            logger.log(level, "%s: %s%s; retrying in %.1f s", key, errors[0], more, delay)
