"""Schedulers and workers in virtual time: who has registered, where data is, and what is lost for nothing."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from dask_k8s_controller.dask.scheduler.agent_client import AgentEndpoint, Successors
from dask_k8s_controller.dask.scheduler.answers import AgentError, Demand, Retired
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_crds import labels
from dask_k8s_crds.resources import PODS

from .model import Model

LEASE = 60.0
"""For so many seconds after the last question, a worker retires."""


@dataclass
class Retiring:
    """A worker that moves its data until ``end``."""

    asked: float
    end: float = 0.0
    alone_since: float | None = None


@dataclass
class Schedulers:
    """`dask_k8s_controller.dask.scheduler.agent_client.Agents` for the pods of a model.

    Every worker that has registered holds data. ``lose`` is called when the data of one is abandoned, because
    no other worker is there, with the seconds for which it has waited.
    """

    model: Model
    random: Random
    lose: Callable[[str, float], None]
    silent: float = 0.0
    registered: dict[str, float] = field(default_factory=dict)
    """By the uid of a pod: when its worker registers."""
    retiring: dict[str, Retiring] = field(default_factory=dict)
    """By the name of a pod."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def at(self, endpoint: AgentEndpoint) -> "Agent":
        return Agent(self, endpoint.pod)

    def workers(self) -> set[str]:
        """Names of pods whose workers have registered and have not left."""
        now, found = asyncio.get_running_loop().time(), set()
        for body in self.model.all(PODS):
            metadata, own = body["metadata"], body["metadata"]["labels"]
            runs = body["status"]["phase"] == "Running" and metadata["uid"] not in self.model.lost
            if runs and own[labels.COMPONENT] == labels.WORKER and "deletionTimestamp" not in metadata:
                when = self.registered.setdefault(metadata["uid"], now + self.random.uniform(0, 4))
                if when <= now:
                    found.add(metadata["name"])
        return found

    def works(self, pod: Key) -> bool:
        """Whether a scheduler's pod answers."""
        body = self.model.objects.get(pod)
        if body is None:
            return False
        return body["status"]["phase"] == "Running" and body["metadata"]["uid"] not in self.model.lost


@dataclass(frozen=True)
class Agent:
    """The agent in one scheduler's pod."""

    schedulers: Schedulers
    pod: Key

    async def idle(self) -> float | None:
        return None

    async def demand(self) -> Demand:
        raise AgentError("SchedulerSilent", "nobody asks here")

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        self._answer()
        return frozenset(pods) & self.schedulers.workers() - self._retiring().keys()

    async def left(self, _pods: Mapping[str, str]) -> Mapping[str, float]:
        return {}

    async def retire(self, pods: Mapping[str, str], count: int, successors: Successors) -> Retired:
        now = self._answer()
        known, retiring = self.schedulers.workers(), self._retiring()
        chosen = sorted(pods, key=lambda pod: (pod in known, pod not in retiring, pod))[:count]
        others = known - set(chosen) - {pod for pod, state in retiring.items() if state.alone_since is None}
        gone, waiting = set(), set()
        for pod in chosen:
            if pod not in known:
                gone.add(pod)
                continue
            state = retiring.setdefault(pod, Retiring(now, end=now + self.schedulers.random.uniform(0, 3)))
            state.asked = now
            if others:
                if state.alone_since is not None:
                    state.end = now + self.schedulers.random.uniform(0, 3)
                state.alone_since = None
                if state.end <= now:
                    gone.add(pod)
                continue
            if state.alone_since is None:
                state.alone_since = now
            waited = now - state.alone_since
            if successors.count and waited < successors.seconds:
                waiting.add(pod)
            else:
                gone.add(pod)
                self.schedulers.lose(pod, waited)
        left = frozenset(chosen) - gone - waiting
        return Retired(gone=frozenset(gone), waiting=frozenset(waiting), retiring=left)

    def _answer(self) -> float:
        if not self.schedulers.works(self.pod) or self.schedulers.random.random() < self.schedulers.silent:
            raise AgentError("SchedulerUnreachable", "no answer")
        return asyncio.get_running_loop().time()

    def _retiring(self) -> dict[str, Retiring]:
        """The retiring workers; those that nobody has asked about for a while are as before."""
        now, retiring = asyncio.get_running_loop().time(), self.schedulers.retiring
        for pod in [pod for pod, state in retiring.items() if now > state.asked + LEASE]:
            del retiring[pod]
        return retiring
