"""Agents of schedulers that are not there: hand-overs take a while, and answers get lost."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from dask_k8s_controller.dask.scheduler.agent_client import Successors
from dask_k8s_controller.dask.scheduler.answers import AgentError, Demand, Retired


@dataclass
class Agents:
    """`dask_k8s_controller.dask.scheduler.agent_client.Agents` without a network."""

    random: Random
    silent: float = 0.0
    """Share of questions that get no answer."""
    slow: float = 0.0
    """Seconds that a hand-over takes at most."""
    ends: dict[str, float] = field(default_factory=dict)
    """By pod: when its hand-over ends."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def at(self, _place):
        return self

    async def idle(self) -> float | None:
        return None

    async def demand(self) -> Demand:
        raise AgentError("SchedulerSilent", "nobody asks here")

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        return frozenset(pods)

    async def left(self, _pods: Mapping[str, str]) -> Mapping[str, float]:
        return {}

    async def retire(self, pods: Mapping[str, str], count: int, _successors: Successors) -> Retired:
        now = asyncio.get_running_loop().time()
        if self.random.random() < self.silent:
            raise AgentError("SchedulerUnreachable", "no answer")
        chosen = sorted(pods, key=lambda pod: (pod not in self.ends, pod))[:count]
        for pod in chosen:
            self.ends.setdefault(pod, now + self.random.uniform(0, self.slow))
        gone = frozenset(pod for pod in chosen if self.ends[pod] <= now)
        return Retired(gone=gone, retiring=frozenset(chosen) - gone)
