"""Ten thousand objects come and go, and nothing of them stays in the controller. Time is virtual."""

import asyncio
import gc
import types
from collections import Counter, deque
from collections.abc import Mapping
from random import Random

import pytest

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.dask import plugin
from dask_k8s_controller.runtime.objects import Key
from dask_k8s_controller.testing.objects import cluster
from dask_k8s_crds.resources import DASK_CLUSTERS, DASK_WORKER_GROUPS

from .agents import Agents
from .faults import Faults, ModelApi
from .model import Model, VirtualClock

pytestmark = pytest.mark.looptime

AT_A_TIME = 8
OBJECTS = 2_000
FAULTS = Faults(lost=0.02, unanswered=0.02, refused=0.01, latency=0.1, lag=0.2, cut=0.002)
OPAQUE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.CodeType,
    asyncio.AbstractEventLoop,
    ModelApi,
    Agents,
)


class CountingModel(Model):
    """Forgets what happened long ago, as an API server does, and counts what was made."""

    made = 0

    def create(self, key, body):
        self.made += 1
        if len(self.history) > 5000:
            del self.history[:4000]
            self.floor = self.history[0][0]
        return super().create(key, body)


def tables(root):
    """The number of entries of all containers that are reachable from an object, by path."""
    sizes, seen, pending = Counter(), {id(root)}, deque([("", root)])
    while pending:
        path, value = pending.popleft()
        if isinstance(value, Mapping | set | list | deque | tuple):
            sizes[path] += len(value)
        for name, child in children(value):
            if id(child) not in seen and not isinstance(child, OPAQUE):
                seen.add(id(child))
                pending.append((f"{path}.{name}" if name else path, child))
    return {path: size for path, size in sizes.items() if size}


def children(value):
    if isinstance(value, Mapping):
        return [("", child) for pair in value.items() for child in pair]
    if isinstance(value, set | frozenset | list | deque | tuple):
        return [("", child) for child in value]
    if isinstance(value, types.MethodType):
        return [("", value.__self__)]
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    found = [(name, getattr(value, name)) for name in slots if name != "__weakref__" and hasattr(value, name)]
    return found + list(getattr(value, "__dict__", {}).items())


async def churn(api, number, first):
    """Create clusters, scale them, and delete them, some while they are being created; a few at a time."""
    slots = asyncio.Semaphore(AT_A_TIME)

    async def live(name):
        async with slots:
            key = Key(DASK_CLUSTERS, "ns", name)
            body = cluster(name, replicas=30)
            api.model.create(key, body)
            await asyncio.sleep(api.model.random.uniform(0, 10))
            group = key._replace(resource=DASK_WORKER_GROUPS, name=f"{name}-default")
            if group in api.model.objects:
                api.model.patch(group, {"spec": {"worker": {"replicas": api.model.random.randrange(35)}}})
                await asyncio.sleep(api.model.random.uniform(0, 5))
            api.model.delete(key)
            await asyncio.sleep(5)

    await asyncio.gather(*(live(f"c{first + at}") for at in range(number)))


async def rest(api):
    """Wait until everything is gone and all timers have fired, then live through one more cluster."""
    for _ in range(2):
        await asyncio.sleep(1000)
        await churn(api, 1, -1)
    await asyncio.sleep(1000)


async def test_nothing_of_ten_thousand_objects_stays():
    api = ModelApi(CountingModel(Random(1)), FAULTS)
    operator = Operator(
        api,
        [plugin.PLUGIN],
        Settings(namespaces=("ns",)),
        agents=Agents(Random(1)),
        clock=VirtualClock(),
        random=Random(1),
    )
    task = asyncio.create_task(operator.run())
    async with asyncio.timeout(60):
        await operator.ready.wait()
    await churn(api, 16, 0)
    await rest(api)
    before, made = tables(operator), api.model.made
    gc.collect()
    objects = len(gc.get_objects())
    await churn(api, OBJECTS // 25, 1000)
    await rest(api)
    assert api.model.made - made >= OBJECTS
    assert not api.model.objects
    assert tables(operator) == before
    gc.collect()
    assert len(gc.get_objects()) - objects < 5000 + len(api.model.history) * 20
    task.cancel()
