"""An edit of each field of an autoscaler is followed by its next decisions, as the table of fields says."""

import pytest

from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_crds import DaskAutoscaler, edits
from dask_k8s_crds.edits import Effect

from .builders import KEY, Scheduler, World, autoscaler, cluster, demand, group, load, pods, waiting

DEFAULT, MORE = "c-default", "c-more"
BUSY = demand(load(4, tasks=8, seconds=20.0), waiting(400, 400.0))
CALM = demand(load(8, idle=8))
WORK = demand(waiting(40, 80.0))
FIELDS = {
    "spec.fallbackSeconds": (WORK, {"fallbackSeconds": 10}),
    "spec.groups[].fallbackSeconds": (WORK, {"groups": [{"name": MORE, "fallbackSeconds": 10}]}),
    "spec.minimum": (CALM, {"minimum": 5}),
    "spec.maximum": (BUSY, {"maximum": 3}),
    "spec.groups[].minimum": (CALM, {"groups": [{"name": MORE, "minimum": 3}]}),
    "spec.groups[].maximum": (BUSY, {"groups": [{"name": MORE, "maximum": 1}]}),
    "spec.groups[].name": (BUSY, {"groups": [{"name": "c-other"}]}),
    "spec.groups[].priority": (BUSY, {"groups": [{"name": MORE, "priority": -1}]}),
    "spec.scaleUp.stabilizationSeconds": (BUSY, {"scaleUp": {"stabilizationSeconds": 20}}),
    "spec.scaleUp.maxStep": (BUSY, {"scaleUp": {"maxStep": 1}}),
    "spec.scaleUp.maxStepPercent": (BUSY, {"scaleUp": {"maxStepPercent": 10}}),
    "spec.scaleDown.stabilizationSeconds": (CALM, {"scaleDown": {"stabilizationSeconds": 30}}),
    "spec.scaleDown.maxStepPercent": (CALM, {"scaleDown": {"maxStepPercent": 100}}),
    "spec.scaleDown.idleSeconds": (CALM, {"scaleDown": {"idleSeconds": 600}}),
    "spec.intervalSeconds": (CALM, {"intervalSeconds": 20}),
    "spec.targetDurationSeconds": (BUSY, {"targetDurationSeconds": 60}),
}
"""What the scheduler answers after the edit, and the edit."""
UNSCHEDULABLE = {"spec.fallbackSeconds": DEFAULT, "spec.groups[].fallbackSeconds": MORE}
"""The group for which there are no nodes."""


async def history(answer, edit, unschedulable=None):
    """Return the sizes of the groups, second by second after an edit, and the number of polls."""
    scheduler = Scheduler(demand(load(4, tasks=4, seconds=40.0)))
    names = (DEFAULT, MORE, "c-other")
    groups = [group(name, 2, **({"ready": 0} if name == unschedulable else {})) for name in names]
    stuck = pods(unschedulable, ["Unschedulable"] * 2, since=0) if unschedulable else ()
    body = autoscaler(maximum=30, groups=[{"name": MORE}])
    world = World(cluster(), *groups, *stuck, body, scheduler=scheduler)
    reconcile = Autoscaling().reconcile
    for _ in range(10):
        await reconcile(KEY, world)
        world.advance(1)
    scheduler.answer = answer
    world.patch(KEY, {"spec": edit})
    sizes = []
    for _ in range(60):
        await reconcile(KEY, world)
        world.advance(1)
        sizes.append([world.size(each["metadata"]["name"]) for each in groups])
    return sizes, len(scheduler.requests)


PATHS = [
    path
    for path in edits.fields(DaskAutoscaler)
    if edits.edit("DaskAutoscaler", path).effect == Effect.IN_PLACE
]


@pytest.mark.parametrize("path", PATHS)
async def test_the_next_decisions_follow_an_edit(path):
    answer, edit = FIELDS[path]
    unschedulable = UNSCHEDULABLE.get(path)
    assert await history(answer, edit, unschedulable) != await history(answer, {}, unschedulable)
