"""The whole controller as one value, wired from plugins. No decision about an object is made here."""

import asyncio
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask.reconcile_guard import guarded
from dask_k8s_controller.dask.scheduler.agent_client import Agents
from dask_k8s_controller.dask.world import LiveDaskWorld
from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.cache import Cache, Change
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.coverage import Coverage
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.informer import Informer
from dask_k8s_controller.runtime.leader_election import Election
from dask_k8s_controller.runtime.object_errors import ObjectErrors
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.plugin import Plugin
from dask_k8s_controller.runtime.reconcile_loop import ReconcileLoop
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_controller.runtime.throttle import Throttle
from dask_k8s_controller.runtime.triggers import Triggers
from dask_k8s_controller.runtime.work_queue import WorkQueue

logger = logging.getLogger(__name__)

RESYNC_SECONDS = 300.0
"""Time after which every object is reconciled again from the cache, in case a trigger was missed."""
STUCK_SECONDS = 180.0
"""The work queue is stuck if there is work, and no reconcile and no write has ended for longer than this."""


@dataclass(slots=True)
class Operator:
    """A controller; nothing runs until `run` is called.

    With an ``election``, it is a standby until it is elected: it only watches, so that its cache is filled
    when it becomes the leader. A reconciler runs in a namespace once all that it reads there is in the cache;
    namespaces and resources that cannot be watched do not delay the others.
    """

    api: Api
    plugins: Sequence[Plugin]
    settings: Settings
    signing_key: SigningKey
    """From it the tokens of agents are derived."""
    agents: Agents = field(default_factory=Agents)
    election: Election | None = None
    clock: Clock = field(default_factory=Clock)
    random: Random = field(default_factory=Random)
    ready: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    """Set once a list of each resource was tried, and at least one namespace can be served."""
    leading: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    cache: Cache = field(init=False)
    queue: WorkQueue = field(init=False, default_factory=WorkQueue)
    loop: ReconcileLoop = field(init=False)
    throttle: Throttle = field(init=False)
    informers: tuple[Informer, ...] = field(init=False)
    coverage: Coverage = field(init=False)
    _served: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _begun: float = field(init=False, default=math.inf)
    """When it began to reconcile; until then keys only wait."""

    def __post_init__(self) -> None:
        if self.election is None:
            self.leading.set()
        else:
            self.api.may_write = self.agents.may_send = self.election.is_leader

        def on_change(change: Change) -> None:
            expectations.observe(change)
            if change.deleted:
                world.forget(change.record.key)
            if self.leading.is_set():
                triggers.enqueue(change)

        def on_unreadable(key: Key) -> None:
            if self.leading.is_set():
                self.queue.put(key)

        def enqueue_after(key: Key, seconds: float) -> None:
            # Not `queue.put_after`: an earlier turn would replace this one.
            asyncio.get_running_loop().call_later(seconds, self.queue.put, key)

        watches = {watched.resource: watched for plugin in self.plugins for watched in plugin.watches}
        reconcilers = [reconciler for plugin in self.plugins for reconciler in plugin.reconcilers]
        errors = ObjectErrors({reconciler.resource for reconciler in reconcilers}, on_unreadable)
        self.cache = Cache(watches, on_change, errors)
        expectations = Expectations()
        self.throttle = Throttle(self.settings.api_concurrency, self.settings.api_rate, adaptive=True)
        applier = Applier(self.api, self.cache, self.throttle, expectations, self.clock)
        world = LiveDaskWorld(
            self.cache,
            expectations,
            applier,
            self.clock,
            enqueue_after,
            agents=self.agents,
            signing_key=self.signing_key,
            cluster_domain=self.settings.cluster_domain,
        )
        triggers = Triggers(reconcilers, self.queue, world, errors)
        seconds = self.settings.watch_seconds
        self.informers = tuple(
            Informer(
                self.api,
                self.cache,
                watched,
                namespace,
                seconds,
                self.clock,
                self.random,
                on_synced=self._on_synced,
            )
            for watched in watches.values()
            for namespace in self.settings.namespaces or (None,)
        )
        self.coverage = Coverage(self.plugins, self.informers)
        reconciles = {each.resource: guarded(each.reconcile, applier) for each in reconcilers}
        self.loop = ReconcileLoop(self.queue, reconciles, world, self.coverage.covers)

    async def run(self) -> None:
        """Fill the cache and read the key, wait until elected, then reconcile until cancelled."""
        async with self.agents, asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(self.signing_key.load())
            for informer in self.informers:
                tasks.create_task(informer.run())
            for informer in self.informers:
                await informer.tried.wait()
            await self._served.wait()
            await loading
            self.ready.set()
            logger.info("Ready")
            for gap in self.coverage.gaps():
                logger.warning("%s", gap)
            if self.election is None:
                await self._lead()
            else:
                async with self.election.leadership():
                    # It may have been replaced since, and the leader before may have used the new one.
                    await self.signing_key.load()
                    await self._lead()

    def _on_synced(self, informer: Informer) -> None:
        """Reconcile the objects whose reconcilers have waited for this informer."""
        if self.ready.is_set():
            logger.info("%s can be watched now", informer)
        if self.coverage.serves_any():
            self._served.set()
        if self.leading.is_set():
            for key in self._keys():
                if informer.namespace in (None, key.namespace):
                    self.queue.put(key)

    async def _lead(self) -> None:
        self.leading.set()
        self._begun = self.clock.monotonic()
        for key in self._keys():
            self.queue.put(key)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run())
            tasks.create_task(self._resync())

    def problems(self) -> list[str]:
        """Return the problems that only a restart may solve: no watch has data, or work is stuck."""
        silent = self._silent()
        problems = silent if len(silent) == len(self.informers) else []
        now = self.clock.monotonic()
        idle = now - max(self.queue.last_end, self.throttle.last_end, self._begun)
        if (stuck := min(self.queue.longest_wait(), idle)) > STUCK_SECONDS:
            problems.append(f"the work queue has been stuck for {stuck:.0f} s")
        return problems

    def unready(self) -> list[str]:
        """Return the problems that may pass without a restart, and because of which nothing is reconciled."""
        problems = [problem for problem in (self.api.login_problem, self.signing_key.problem) if problem]
        if self.ready.is_set() and self.coverage.serves_any():
            return problems
        return [*self.coverage.gaps(), *problems] or ["the controller is starting"]

    def limitations(self) -> list[str]:
        """Return what is not reconciled, or perhaps late, while the rest is."""
        return [*self.coverage.gaps(), *self._silent()]

    def _silent(self) -> list[str]:
        return [
            f"nothing received from the API server for {informer} for {seconds:.0f} s"
            for informer in self.informers
            if (seconds := informer.seconds_since_contact()) > informer.idle_timeout
        ]

    def role(self) -> str:
        """Return ``leader`` or ``standby``, or an empty string without an election."""
        if self.election is None:
            return ""
        return "leader" if self.leading.is_set() else "standby"

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            for key in self._keys():
                # Spread over a minute, so that a resync does not cause a burst of work.
                self.queue.put_after(key, self.random.uniform(0, RESYNC_SECONDS / 5))

    def _keys(self) -> Iterator[Key]:
        for resource in self.loop.reconcilers:
            yield from (record.key for record in self.cache.all(resource))
        yield from self.cache.errors.unreadable
