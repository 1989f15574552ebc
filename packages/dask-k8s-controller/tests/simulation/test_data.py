"""Never two schedulers, and no data is abandoned while a worker is expected that could take it."""

import asyncio
from collections import Counter

import pytest

from dask_k8s_crds.resources import PODS

from .data import Schedulers
from .faults import Faults
from .model import VIRTUAL_TIME, owners
from .test_random_histories import CLUSTER, DEFAULT, EXTRA, FAULTS, MEMORY, Simulation, component, living

pytestmark = [VIRTUAL_TIME, pytest.mark.usefixtures("virtual_time")]
DRAIN_TIMEOUT = 300.0


class WithData(Simulation):
    """All workers hold data."""

    def __init__(self, seed, faults):
        super().__init__(seed, faults)
        self.desired = [(0.0, 0)]
        self.agents = Schedulers(self.model, self.random, self.lose, silent=faults.lost)

    def check(self, key):
        super().check(key)
        now = asyncio.get_running_loop().time()
        if self.total() != self.desired[-1][1]:
            self.desired.append((now, self.total()))
        schedulers = [body for body in self.model.all(PODS) if component(body) == "scheduler"]
        of_one = Counter(owner for body in schedulers if living(body) for owner in owners(body))
        if max(of_one.values(), default=0) > 1:
            self.broken.append(f"two schedulers of one cluster\n{self.story()}")

    def total(self):
        """How many workers users ask for."""
        objects = self.model.objects
        if CLUSTER not in objects or objects[CLUSTER]["spec"].get("suspend"):
            return 0
        return sum(objects[key]["spec"]["worker"]["replicas"] for key in (DEFAULT, EXTRA) if key in objects)

    def lose(self, pod, waited):
        """Data is abandoned: users have lately asked for no workers, or none has come for too long."""
        since = asyncio.get_running_loop().time() - MEMORY
        before = [total for time, total in self.desired if time < since][-1:]
        lately = [*before, *(total for time, total in self.desired if time >= since)]
        if min(lately) > 0 and waited < DRAIN_TIMEOUT:
            self.broken.append(f"the data of {pod} is abandoned after {waited:.0f} s\n{self.story()}")

    async def something_happens(self):
        """Now and then all workers move from one group to the other, or there is no room for new pods."""
        if self.random.random() < 0.1:
            self.model.full_until = asyncio.get_running_loop().time() + self.random.uniform(0, 400)
        if self.random.random() < 0.2 and {DEFAULT, EXTRA} <= self.model.objects.keys():
            for key, replicas in zip(self.random.sample([DEFAULT, EXTRA], 2), (2, 0), strict=True):
                self.model.patch(key, {"spec": {"worker": {"replicas": replicas}}})
            await asyncio.sleep(self.random.uniform(0, 60))
        else:
            await super().something_happens()

    def something_happens_to_a_pod(self):
        """Nodes are lost, too."""
        pods = sorted(key for key in self.model.objects if key.resource == PODS)
        if pods and self.random.random() < 0.4:
            self.model.lose(self.random.choice(pods))
        else:
            super().something_happens_to_a_pod()


async def run(seed, faults):
    simulation = WithData(seed, faults)
    simulation.make(simulation.random.randrange(4))
    await simulation.begin()
    await asyncio.sleep(30)
    for _ in range(40):
        await simulation.something_happens()
        assert not simulation.broken, simulation.broken[0]
    simulation.api.calm()
    simulation.agents.silent = 0.0
    await asyncio.sleep(1000)
    simulation.settled()
    assert not simulation.broken, simulation.broken[0]
    await simulation.kill()


@pytest.mark.parametrize("seed", range(4))
async def test_no_data_is_abandoned(seed):
    await run(seed, Faults())


@pytest.mark.long
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("seed", range(1000, 1167))
async def test_a_thousand_histories(seed, faults):
    await run(seed, faults)
