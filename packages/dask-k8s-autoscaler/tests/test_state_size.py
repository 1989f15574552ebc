"""An autoscaler remembers nothing of groups and autoscalers that were deleted."""

from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_controller import Key
from dask_k8s_crds.resources import DASK_WORKER_GROUPS

from .builders import KEY, Scheduler, World, autoscaler, cluster, demand, group, load, waiting

BUSY = demand(load(2, tasks=8, seconds=20.0), waiting(40, 40.0))


def remembered(autoscaling):
    """The sizes of what is kept by name or uid."""
    states = autoscaling._states  # noqa: SLF001 - nothing else shows what is kept
    return [(len(each.parse_cache.groups), len(each.history.groups)) for each in states.values()]


async def test_of_groups_that_come_and_go():
    world = World(cluster(), group(), autoscaler(), scheduler=Scheduler(BUSY))
    autoscaling = Autoscaling()
    sizes = []
    for number in range(200):
        name = f"c-{number}"
        world.add(group(name, uid=name))
        for _ in range(2):
            world.advance(5)
            await autoscaling.reconcile(KEY, world)
        world.remove(Key(DASK_WORKER_GROUPS, "ns", name))
        world.advance(5)
        await autoscaling.reconcile(KEY, world)
        sizes.append(remembered(autoscaling))
    assert sizes[-1] == sizes[10]


async def test_of_autoscalers_that_come_and_go():
    world = World(cluster(), group(), scheduler=Scheduler(BUSY))
    autoscaling = Autoscaling()
    for number in range(200):
        key = KEY._replace(name=f"auto-{number}")
        body = autoscaler()
        body["metadata"] |= {"name": key.name, "uid": key.name}
        world.add(body)
        await autoscaling.reconcile(key, world)
        assert len(remembered(autoscaling)) == 1
        world.remove(key)
        await autoscaling.reconcile(key, world)
    assert remembered(autoscaling) == []
