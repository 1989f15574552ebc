"""Two controllers with different keys serve the same namespace, by mistake: they do not fight, and say so."""

import asyncio
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.dask.cluster.agent import CLOCK_SECONDS
from dask_k8s_controller.dask.scheduler.answers import AgentError
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.runtime.signing_key import SigningKey
from dask_k8s_crds import labels, names
from dask_k8s_crds.resources import DASK_CLUSTERS, PODS, SECRETS

from .agents import Agents
from .faults import ModelApi
from .model import Model, VirtualClock

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("virtual_time")]

CLUSTER = Key(DASK_CLUSTERS, "ns", "c")
SETTINGS = Settings(namespaces=("ns",))
REST = 120.0
"""Seconds after which everything rests."""


class StrictAgents(Agents):
    """Agents that accept the token in the Secret that their pod mounts, and no other."""

    def __init__(self, model):
        super().__init__(Random(1))
        self.model = model

    def at(self, endpoint):
        [*_, volume] = self.model.get(endpoint.pod)["spec"]["volumes"]
        if not volume["secret"]["secretName"].startswith(names.agent_with_token("c", endpoint.token)):
            return Refusing()
        return self


class Refusing:
    """What an agent is to a controller with another key."""

    def __getattr__(self, _):
        async def refuse(*_):
            raise AgentError("Unauthorized", "the scheduler does not accept the token")

        return refuse


class World(Model):
    """A model in which no pod starts before the test allows it."""

    starts = False

    def _start(self, key, uid):
        if self.starts:
            super()._start(key, uid)
        elif key in self.objects:
            self._later(5.0, self._start, key, uid)


class Stage:
    """Installations by name, and the cluster."""

    def __init__(self):
        self.model = World(Random(1))
        self.tasks, self.apis = {}, []

    def start(self, name):
        api = ModelApi(self.model)
        key = SigningKey(api, Key(SECRETS, name, names.AGENT_KEY))
        agents, clock = StrictAgents(self.model), VirtualClock()
        operator = Operator(api, [plugin.PLUGIN], SETTINGS, key, agents, clock=clock, random=Random(1))
        self.apis.append(api)
        self.tasks[name] = asyncio.create_task(operator.run())

    async def stop(self, *names):
        for name in names or list(self.tasks):
            task = self.tasks.pop(name)
            task.cancel()
            await asyncio.wait([task])

    def create_cluster(self):
        spec = {"containers": [{"name": "dask", "args": ["dask", "x"]}]}
        body = {
            "apiVersion": DASK_CLUSTERS.api_version,
            "kind": DASK_CLUSTERS.kind,
            "metadata": {"name": "c", "namespace": "ns"},
            "spec": {
                "idleTimeout": 600,
                "scheduler": {"spec": spec, "service": {"ports": []}},
                "worker": {"replicas": 2, "spec": spec},
            },
        }
        self.model.create(CLUSTER, body)

    @property
    def schedulers(self):
        """How many schedulers there have ever been."""
        pods = (body for _, kind, key, body in self.model.history if (kind, key.resource) == ("ADDED", PODS))
        return sum(body["metadata"]["labels"][labels.COMPONENT] == labels.SCHEDULER for body in pods)

    def degraded(self):
        conditions = self.model.get(CLUSTER)["status"]["conditions"]
        [found] = [each for each in conditions if each["type"] == "Degraded"]
        return found["reason"], found["message"]

    async def rests(self):
        """Wait until nothing is written any more."""
        await asyncio.sleep(REST)
        writes = sum(api.writes for api in self.apis)
        await asyncio.sleep(REST)
        assert sum(api.writes for api in self.apis) == writes


@pytest.mark.parametrize("starts", [False, True], ids=["pending", "running"])
@pytest.mark.parametrize("seconds", [0.0, 1.5, 60.0])
async def test_a_new_cluster_keeps_the_scheduler_of_whoever_was_first(starts, seconds):
    stage = Stage()
    stage.model.starts = starts
    stage.start("one")
    stage.start("two")
    await asyncio.sleep(seconds + 1)
    stage.create_cluster()
    await stage.rests()
    # One that was created just after the start may have been replaced, by one of both.
    just_begun = seconds < CLOCK_SECONDS
    assert stage.schedulers <= (2 if just_begun and not starts else 1)
    reason, message = stage.degraded()
    assert reason in {"ControllerConflict", *(["AgentTokenOutdated"] if just_begun else [])}
    assert "installation" in message
    await stage.stop()


async def test_a_second_installation_replaces_a_scheduler_that_has_not_run_once():
    stage = Stage()
    stage.start("one")
    stage.create_cluster()
    await asyncio.sleep(60)
    stage.start("two")
    await stage.rests()
    assert stage.schedulers == 2
    assert stage.degraded()[0] == "ControllerConflict"
    await stage.stop()


async def test_a_scheduler_that_runs_stays_and_both_say_the_same():
    stage = Stage()
    stage.model.starts = True
    stage.start("one")
    stage.create_cluster()
    await asyncio.sleep(60)
    assert stage.degraded()[0] == "Healthy"
    stage.start("two")
    await stage.rests()
    assert stage.schedulers == 1
    reason, message = stage.degraded()
    assert reason == "AgentTokenOutdated"
    assert "if the key was not replaced, another installation serves this namespace too" in message

    # The advice of the message: one of both goes, the other one is restarted.
    await stage.stop("two")
    await stage.rests()
    await stage.stop("one")
    stage.start("one")
    await stage.rests()
    assert stage.degraded()[0] == "Healthy"
    assert stage.schedulers == 1
    await stage.stop()


async def test_when_both_are_gone_the_next_one_takes_over():
    stage = Stage()
    stage.start("one")
    stage.start("two")
    await asyncio.sleep(60)
    stage.create_cluster()
    await stage.rests()
    assert stage.degraded()[0] == "ControllerConflict"
    await stage.stop()
    stage.start("three")
    await stage.rests()
    assert stage.schedulers == 2
    assert stage.degraded()[0] == "Healthy"
    await stage.stop()


async def test_two_that_start_at_once_with_an_old_scheduler_replace_it_once_each_at_most():
    stage = Stage()
    stage.start("none of both")
    stage.create_cluster()
    await asyncio.sleep(60)
    await stage.stop()
    stage.start("one")
    stage.start("two")
    await stage.rests()
    assert stage.schedulers == 2
    assert stage.degraded()[0] == "ControllerConflict"
    await stage.stop()
