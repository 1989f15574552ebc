"""The whole controller as one value, wired from plugins. No decision about an object is made here."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask.scheduler.agent_client import Agents
from dask_k8s_controller.dask.world import LiveDaskWorld
from dask_k8s_controller.runtime.api import Api
from dask_k8s_controller.runtime.apply import Applier
from dask_k8s_controller.runtime.cache import Cache, Change
from dask_k8s_controller.runtime.clock import Clock
from dask_k8s_controller.runtime.expectations import Expectations
from dask_k8s_controller.runtime.informer import Informer
from dask_k8s_controller.runtime.leader_election import Election
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
"""The work queue is stuck if a key waits, or a reconcile runs, for longer than this."""


@dataclass(slots=True)
class Operator:
    """A controller; nothing runs until `run` is called.

    With an ``election``, it is a standby until it is elected: it only watches, so that its cache is filled
    when it becomes the leader.
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
    """Set once the cache has been filled."""
    leading: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    cache: Cache = field(init=False)
    queue: WorkQueue = field(init=False, default_factory=WorkQueue)
    loop: ReconcileLoop = field(init=False)
    informers: tuple[Informer, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.election is None:
            self.leading.set()

        def on_change(change: Change) -> None:
            expectations.observe(change)
            if change.deleted:
                world.forget(change.record.key)
            if self.leading.is_set():
                triggers.enqueue(change)

        def enqueue_after(key: Key, seconds: float) -> None:
            # Not `queue.put_after`: an earlier turn would replace this one.
            asyncio.get_running_loop().call_later(seconds, self.queue.put, key)

        watches = {watched.resource: watched for plugin in self.plugins for watched in plugin.watches}
        reconcilers = [reconciler for plugin in self.plugins for reconciler in plugin.reconcilers]
        self.cache = Cache(watches, on_change)
        expectations = Expectations()
        throttle = Throttle(
            slots=self.settings.api_concurrency,
            rate=self.settings.api_rate,
            may_write=self.election.is_leader if self.election else self.leading.is_set,
        )
        world = LiveDaskWorld(
            self.cache,
            expectations,
            Applier(self.api, self.cache, throttle, expectations, self.clock),
            self.clock,
            enqueue_after,
            agents=self.agents,
            signing_key=self.signing_key,
            cluster_domain=self.settings.cluster_domain,
        )
        triggers = Triggers(reconcilers, self.queue, world)
        reconciles = {reconciler.resource: reconciler.reconcile for reconciler in reconcilers}
        self.loop = ReconcileLoop(self.queue, reconciles, world)
        seconds = self.settings.watch_seconds
        self.informers = tuple(
            Informer(self.api, self.cache, watched, namespace, seconds, self.clock, self.random)
            for watched in watches.values()
            for namespace in self.settings.namespaces or (None,)
        )

    async def run(self) -> None:
        """Fill the cache and read the key, wait until elected, then reconcile until cancelled."""
        async with self.agents, asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(self.signing_key.load())
            for informer in self.informers:
                tasks.create_task(informer.run())
            for informer in self.informers:
                await informer.synced.wait()
            await loading
            self.ready.set()
            logger.info("Ready")
            if self.election is None:
                await self._lead()
            else:
                async with self.election.leadership():
                    # It may have been replaced since, and the leader before may have used the new one.
                    await self.signing_key.load()
                    await self._lead()

    async def _lead(self) -> None:
        self.leading.set()
        for key in self._keys():
            self.queue.put(key)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run())
            tasks.create_task(self._resync())

    def problems(self) -> list[str]:
        """Return the problems that only a restart may solve: a watch without data, a stuck work queue."""
        problems = [
            f"nothing received from the API server for {informer} for {seconds:.0f} s"
            for informer in self.informers
            if (seconds := informer.seconds_since_contact()) > informer.idle_timeout
        ]
        if (longest_wait := self.queue.longest_wait()) > STUCK_SECONDS:
            problems.append(f"the work queue has been stuck for {longest_wait:.0f} s")
        return problems

    def unready(self) -> list[str]:
        """Return the problems that may pass without a restart."""
        unlisted = [informer for informer in self.informers if not informer.synced.is_set()]
        login_problem = [self.api.login_problem] if self.api.login_problem else []
        key_problem = [self.signing_key.problem] if self.signing_key.problem else []
        return [f"{informer} not listed yet" for informer in unlisted] + login_problem + key_problem

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
        return (record.key for resource in self.loop.reconcilers for record in self.cache.all(resource))
