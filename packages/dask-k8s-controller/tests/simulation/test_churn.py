"""Ten thousand objects come and go, and nothing of them stays in the controller. Time is virtual."""

import asyncio
import gc
import logging
import types
from collections import Counter, deque
from collections.abc import Mapping
from random import Random

from dask_k8s_controller.app.operator import Operator
from dask_k8s_controller.app.settings import Settings
from dask_k8s_controller.runtime.adaptive_limit import AdaptiveLimit

from .agents import Agents
from .churn import NAMESPACES, PLUGIN, Api, churn
from .model import VIRTUAL_TIME, VirtualClock

pytestmark = VIRTUAL_TIME

OBJECTS = 10_000
# The limit of the throttle keeps latencies by kinds of requests, not by objects.
OPAQUE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.CodeType,
    asyncio.AbstractEventLoop,
    Api,
    Agents,
    AdaptiveLimit,
)


class NoKey:
    """Takes the place of the key of agents' tokens, which no object here needs."""

    problem = ""

    async def load(self):
        pass


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


async def rest(api):
    """Wait until everything is gone and all timers have fired; then let one more set live per namespace."""
    for _ in range(2):
        await asyncio.sleep(1000)
        await churn(api, 3, 0)
    await asyncio.sleep(1000)
    assert not api.objects


async def test_nothing_of_ten_thousand_objects_stays(caplog):
    # Records of messages that are kept keep errors, and these keep the frames of the failed requests.
    caplog.set_level(logging.CRITICAL)
    api = Api(Random(1))
    operator = Operator(
        api,
        [PLUGIN],
        Settings(namespaces=NAMESPACES),
        NoKey(),
        agents=Agents(Random(1)),
        clock=VirtualClock(),
        random=Random(1),
    )
    task = asyncio.create_task(operator.run())
    async with asyncio.timeout(60):
        await operator.ready.wait()
    await churn(api, 90, 10)
    await rest(api)
    before, made = tables(operator), api.made
    gc.collect()
    objects = len(gc.get_objects())

    await churn(api, OBJECTS // 8, 1000)
    await rest(api)
    assert api.made - made >= OBJECTS
    assert tables(operator) == before
    gc.collect()
    assert len(gc.get_objects()) - objects < OBJECTS / 10
    task.cancel()
