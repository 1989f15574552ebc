"""The whole controller as one value: plugins, cache, queue, loop, informers, wired here and nowhere else."""

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Self

from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask.scheduler.agent_client import Agents
from dask_k8s_controller.dask.world import LiveDaskWorld
from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.cache import Cache, Change, What
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.informer import Informer
from dask_k8s_controller.runtime.leader_election import Election
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Plugin
from dask_k8s_controller.runtime.reconcile_loop import Loop
from dask_k8s_controller.runtime.throttle import Throttle
from dask_k8s_controller.runtime.triggers import Triggers
from dask_k8s_controller.runtime.work_queue import WorkQueue

logger = logging.getLogger(__name__)

RESYNC_SECONDS = 300.0
"""Every key is looked at again so often, from the cache, should an event have been lost."""
STUCK_SECONDS = 180.0
"""A key that waits or works for so long means that the queue is stuck."""


@dataclass(slots=True)
class Operator:
    """Everything that runs; `problems` tells how it is.

    A standby watches, so that its cache is warm when it ``leads``, and does nothing else.
    """

    api: Api
    plugins: Sequence[Plugin]
    cache: Cache
    queue: WorkQueue[Key]
    loop: Loop
    informers: tuple[Informer, ...]
    agents: Agents
    election: Election | None
    leads: asyncio.Event
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(
        cls,
        api: Api,
        plugins: Sequence[Plugin],
        settings: Settings,
        *,
        agents: Agents | None = None,
        election: Election | None = None,
    ) -> Self:
        """Wire a controller; nothing runs yet. Without an election it leads from the beginning."""
        agents = agents or Agents()
        clock = asyncio.get_running_loop().time
        expectations = Expectations()
        queue: WorkQueue[Key] = WorkQueue()
        leads = asyncio.Event()
        if election is None:
            leads.set()

        def listen(change: Change) -> None:
            expectations.seen(change)
            if change.what is What.GONE:
                world.forget(change.record.key)
            if leads.is_set():
                triggers.enqueue(change)

        def remind(key: Key, seconds: float) -> None:
            # Not `queue.put_after`: an earlier turn must not replace this one.
            asyncio.get_running_loop().call_later(seconds, queue.put, key)

        watches = {watched.resource: watched for plugin in plugins for watched in plugin.watches}
        reconcilers = [reconciler for plugin in plugins for reconciler in plugin.reconcilers]
        cache = Cache(watches, listen)
        throttle = Throttle(
            slots=settings.api_concurrency,
            rate=settings.api_rate,
            is_open=election.leads if election else leads.is_set,
        )
        applier = Applier(api, cache, throttle, expectations, clock)
        world = LiveDaskWorld(
            api,
            cache,
            expectations,
            applier,
            clock,
            remind,
            agents=agents,
            cluster_domain=settings.cluster_domain,
        )
        triggers = Triggers.of(reconcilers, queue, world)
        loop = Loop(queue, {reconciler.resource: reconciler.reconcile for reconciler in reconcilers}, world)
        informers = tuple(
            Informer(api, cache, watched, namespace, settings.watch_seconds)
            for watched in watches.values()
            for namespace in settings.namespaces or (None,)
        )
        return cls(api, plugins, cache, queue, loop, informers, agents, election, leads)

    async def run(self) -> None:
        """Fill the cache, wait to lead, then reconcile until cancelled."""
        async with self.agents, asyncio.TaskGroup() as tasks:
            for informer in self.informers:
                tasks.create_task(informer.run())
            for informer in self.informers:
                await informer.synced.wait()
            self.ready.set()
            logger.info("Ready")
            async with self.election.term() if self.election else nullcontext():
                await self._lead()

    async def _lead(self) -> None:
        self.leads.set()
        for key in self._keys():
            self.queue.put(key)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run())
            tasks.create_task(self._resync())

    def problems(self) -> list[str]:
        """Return what makes this controller useless, in sentences: a stale watch, a stuck queue."""
        deaf = [
            f"no word from the API server on {informer} for {informer.silent_for():.0f} s"
            for informer in self.informers
            if informer.silent_for() > informer.silence
        ]
        waits = self.queue.longest_wait()
        return deaf + ([f"the queue has been stuck for {waits:.0f} s"] if waits > STUCK_SECONDS else [])

    def unready(self) -> list[str]:
        """Return what a controller lacks now and will have without a restart."""
        unlisted = [informer for informer in self.informers if not informer.synced.is_set()]
        refusal = [self.api.refusal] if self.api.refusal else []
        return [f"{informer} not listed yet" for informer in unlisted] + refusal

    def role(self) -> str:
        """Return ``leader`` or ``standby``, or nothing where none is elected."""
        if self.election is None:
            return ""
        return "leader" if self.leads.is_set() else "standby"

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            for key in self._keys():
                # Spread out, so that a resync is no burst of work.
                self.queue.put_after(key, random.uniform(0, RESYNC_SECONDS / 5))

    def _keys(self) -> Iterator[Key]:
        return (record.key for resource in self.loop.reconcilers for record in self.cache.all(resource))
