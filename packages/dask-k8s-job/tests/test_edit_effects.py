"""An edit of each field of a job has the effect that the table of all fields says.

That the API server refuses the others is tested with the CRDs.
"""

import pytest

from dask_k8s_controller import Key
from dask_k8s_crds import DaskJob, edits
from dask_k8s_crds.edits import Effect
from dask_k8s_crds.resources import DASK_CLUSTERS, JOBS
from dask_k8s_job.reconcile import reconcile

from .builders import KEY, job
from .simulation import World

RUNNER = Key(JOBS, "ns", "demo-runner")
CLUSTER = Key(DASK_CLUSTERS, "ns", "demo")
EXAMPLE = {"example": "other"}
VALUES = {
    "labels": EXAMPLE,
    "annotations": EXAMPLE,
    "spec": {"containers": [{"name": "c", "image": "other"}]},
    "service": {"ports": [{"name": "tcp-comm", "port": 8786}], "type": "NodePort"},
    "replicas": 5,
    "daskResources": {"GPU": 1.0},
    "cluster": "other",
    "idleTimeout": 60,
    "idleAction": "Suspend",
    "suspend": True,
    "type": "OnDelete",
    "maxUnavailable": 7,
    "maxSurge": 7,
    "drainTimeoutSeconds": 5,
    "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]},
}
"""Another value for each field that is used at the next run, by the name of the field."""


class Lab(World):
    """A world in which the client runs until the test lets it end."""

    ends = False

    def _pod(self, key, phase):
        if phase == "Pending" or self.ends:
            super()._pod(key, phase)

    def edit(self, **spec):
        self.patch(KEY, {"spec": spec})

    async def settle(self):
        for _ in range(30):
            await reconcile(KEY, self)
            self.goes_on()


async def lab(**spec):
    made = Lab(job(template={"restartPolicy": "Never"}, **spec))
    await made.settle()
    return made


def edited(path, value):
    """Return the part of a spec that sets one field."""
    for step in reversed(path.split(".")[1:]):
        value = {step: value}
    return value


def includes(whole, part):
    """Whether an object has everything that another one has."""
    if not isinstance(part, dict):
        return whole == part
    return all(includes((whole or {}).get(key), value) for key, value in part.items())


def is_used(lab, path, value):
    """Whether the child that is made from a field of the job has its value."""
    part = edited(path, value)
    if "cluster" in part:
        return includes(lab.objects[CLUSTER], part["cluster"])
    body = lab.objects[RUNNER]
    if "podFailurePolicy" in part:
        return includes(body["spec"], part)
    template = body["spec"]["template"]
    if "spec" in part["job"]:
        return template["spec"]["containers"][0]["image"] == "other"
    return includes(template, part["job"])


NEXT_RUN = [
    path for path in edits.fields(DaskJob) if edits.edit("DaskJob", path).suspended == Effect.NEXT_RUN
]
IN_PLACE = [path for path in edits.fields(DaskJob) if edits.edit("DaskJob", path).effect == Effect.IN_PLACE]


@pytest.mark.parametrize("path", NEXT_RUN)
async def test_an_edit_of_a_suspended_job_is_used_at_its_next_run(path):
    value = VALUES[path.split(".")[-1]]
    if path.startswith("spec.cluster."):
        world = await lab()
        world.edit(suspend=True)
        await world.settle()
    else:
        world = await lab(suspend=True)
    world.edit(**edited(path, value))
    await world.settle()
    world.edit(suspend=False)
    await world.settle()
    assert world.objects[KEY]["status"]["jobStatus"] == "Running"
    assert is_used(world, path, value)
    assert len(world.runs) == 1


@pytest.mark.parametrize("path", [path for path in NEXT_RUN if path.startswith("spec.cluster.")])
async def test_a_suspension_that_no_controller_has_seen_is_no_next_run(path):
    value = VALUES[path.split(".")[-1]]
    world = await lab()
    cluster = world.objects[CLUSTER]
    world.edit(suspend=True)
    world.edit(suspend=False, **edited(path, value))
    await world.settle()
    assert world.objects[CLUSTER] == cluster
    world.edit(suspend=True)
    await world.settle()
    world.edit(suspend=False)
    await world.settle()
    assert is_used(world, path, value)


async def limit(world, name):
    world.edit(**{name: 7})
    await world.settle()
    return world.objects[RUNNER]["spec"][name] == 7 and len(world.runs) == 1


async def backoff_limit(world):
    return await limit(world, "backoffLimit")


async def active_deadline(world):
    return await limit(world, "activeDeadlineSeconds")


async def end(world):
    world.ends = True
    await world.settle()
    assert world.objects[KEY]["status"]["jobStatus"] == "Successful"
    assert CLUSTER in world.objects


async def time_to_live(world):
    await end(world)
    world.edit(ttlSecondsAfterFinished=1)
    await world.settle()
    return KEY not in world.objects


async def cleanup(world):
    await end(world)
    world.edit(clusterCleanup="Always")
    await world.settle()
    return CLUSTER not in world.objects


async def suspend(world):
    world.edit(suspend=True)
    await world.settle()
    return world.objects[RUNNER]["spec"]["suspend"] and CLUSTER not in world.objects


EVIDENCE = {
    "spec.backoffLimit": backoff_limit,
    "spec.activeDeadlineSeconds": active_deadline,
    "spec.ttlSecondsAfterFinished": time_to_live,
    "spec.clusterCleanup": cleanup,
    "spec.suspend": suspend,
}


@pytest.mark.parametrize("path", IN_PLACE)
async def test_an_edit_of_a_job_that_runs_is_followed(path):
    assert await EVIDENCE[path](await lab(clusterCleanup="Never"))
