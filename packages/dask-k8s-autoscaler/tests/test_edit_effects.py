"""An edit of each field of an autoscaler is followed by its next decisions, as the table of fields says."""

import pytest

from dask_k8s_autoscaler.reconcile import Autoscaling
from dask_k8s_crds import DaskAutoscaler, edits
from dask_k8s_crds.edits import Effect

from .builders import KEY, Scheduler, World, autoscaler, cluster, demand, group, load, waiting

MORE = "c-more"
BUSY = demand(load(4, tasks=8, seconds=20.0), waiting(400, 400.0))
CALM = demand(load(8, idle=8))
FIELDS = {
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


async def history(answer, edit):
    """Return the sizes of the groups, second by second after an edit, and the number of polls."""
    scheduler = Scheduler(demand(load(4, tasks=4, seconds=40.0)))
    groups = [group(replicas=2), group(MORE, 2), group("c-other", 2)]
    body = autoscaler(maximum=30, groups=[{"name": MORE}])
    world = World(cluster(), *groups, body, scheduler=scheduler)
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
    assert await history(answer, edit) != await history(answer, {})
