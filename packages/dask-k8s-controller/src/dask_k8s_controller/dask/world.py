"""The world as the reconcilers of Dask's resources see it: the cache, and the agents in schedulers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dask_k8s_controller.dask.scheduler.agent_client import AgentEndpoint, Agents
from dask_k8s_controller.dask.scheduler.answers import Demand, Retired
from dask_k8s_controller.runtime import world as runtime_world
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.live_world import LiveWorld
from dask_k8s_crds.resources import PODS, SECRETS


class Agent(Protocol):
    """What a scheduler may be asked; all raise `AgentError` where it does not answer."""

    async def demand(self) -> Demand:
        """Return what there is to do and with what."""

    async def idle(self) -> float | None:
        """Return for how many seconds there has been nothing to do; None while there is."""

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        """Return of which of these pods a worker has registered; ``pods`` are IP addresses by name."""

    async def retire(self, pods: Mapping[str, str], count: int) -> Retired:
        """Have so many of these pods' workers hand over what they hold; ``pods`` are IP addresses by name.

        The scheduler chooses those that lose least. To be asked again until the pods are deleted.
        """


class World(runtime_world.World, Protocol):
    """What a reconcile of Dask's resources, or of a plugin's, can see and do."""

    cluster_domain: str
    """The DNS domain of the Kubernetes cluster, for example ``cluster.local``."""

    def agent(self, cluster: Record) -> Agent | None:
        """Return the agent in the scheduler of a cluster; None where no scheduler, and so no data, exists."""


@dataclass(slots=True, kw_only=True)
class LiveDaskWorld(LiveWorld):
    """`World` on a real API server and real schedulers."""

    agents: Agents
    cluster_domain: str

    def agent(self, cluster: Record) -> Agent | None:
        """Return the agent in the scheduler of a cluster; None where no scheduler runs."""
        schedulers = [record for record in self.owned(cluster.uid, PODS) if record.value.runs]
        if not schedulers:
            return None
        pod = min(schedulers, key=lambda record: record.value.created)
        secrets = self.owned(cluster.uid, SECRETS)
        token = next((record.value.token for record in secrets), "")
        return self.agents.at(AgentEndpoint(pod.key.name, f"{pod.value.ip}:{pod.value.dashboard}", token))
