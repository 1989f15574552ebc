"""The world of the reconcilers of Dask's resources: the runtime's, and the agents in schedulers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dask_k8s_controller.dask.scheduler.agent_client import AgentEndpoint, Agents, Successors
from dask_k8s_controller.dask.scheduler.answers import Demand, Retired
from dask_k8s_controller.dask.scheduler.pod import answering
from dask_k8s_controller.runtime import world as runtime_world
from dask_k8s_controller.runtime.cache import Record
from dask_k8s_controller.runtime.live_world import LiveWorld
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import names
from dask_k8s_crds.resources import PODS
from dask_k8s_crds.scheduler_ports import DASHBOARD


class Agent(Protocol):
    """The agent in a scheduler; methods raise `AgentError` if it does not answer.

    ``pods`` are IP addresses by the name of the pod: none, one, or several with commas in between.
    """

    async def demand(self) -> Demand:
        """Return the work of the scheduler and the workers that it has for it."""

    async def idle(self) -> float | None:
        """Return for how many seconds the scheduler has been idle, None while it is not."""

    async def known(self, pods: Mapping[str, str]) -> frozenset[str]:
        """Return which of these pods have a registered worker."""

    async def left(self, pods: Mapping[str, str]) -> Mapping[str, float]:
        """Return how many seconds ago workers in these pods, or with their addresses, left the scheduler."""

    async def retire(self, pods: Mapping[str, str], count: int, successors: Successors) -> Retired:
        """Retire the workers of ``count`` of these pods: they finish their tasks and move their data.

        The scheduler chooses those that lose least. While no other worker stays, they wait for one of the
        ``successors``. Ask again until the pods are deleted.
        """


class World(runtime_world.World, Protocol):
    """What a reconcile of Dask's resources, or of a plugin's, can see and do."""

    cluster_domain: str
    """The DNS domain of the Kubernetes cluster, for example ``cluster.local``."""

    def agent_token(self, cluster: Record) -> str:
        """Return the token of the agent of a cluster; nobody can compute it without the controller's key."""

    def key_since(self) -> datetime:
        """Return since when the controller has had its key, in the time of the API server."""

    def agent(self, cluster: Record) -> Agent | None:
        """Return the agent of a cluster; None if no scheduler runs, and so no data is in memory."""


@dataclass(slots=True, kw_only=True)
class LiveDaskWorld(LiveWorld):
    """`World` on a real API server and real schedulers."""

    agents: Agents
    signing_key: SigningKey
    cluster_domain: str

    def agent_token(self, cluster: Record) -> str:  # noqa: D102  # documented in `World`
        # Namespaces and uids contain no slash.
        return self.signing_key.sign(f"agent-token/{cluster.key.namespace}/{cluster.uid}")

    def key_since(self) -> datetime:  # noqa: D102  # documented in `World`
        return self.now() - timedelta(seconds=self.clock.monotonic() - self.signing_key.loaded)

    def agent(self, cluster: Record) -> Agent | None:  # noqa: D102  # documented in `World`
        pod = answering(self.owned(cluster, PODS), self.now())
        if pod is None or pod.value.ports is None:
            return None
        port = pod.value.ports.container_port(DASHBOARD, cluster.value["spec"]["scheduler"]["service"])
        address = names.host_port(pod.value.ip, port)
        return self.agents.at(AgentEndpoint(pod.key, address, self.agent_token(cluster)))
