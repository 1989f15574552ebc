"""Pods that cannot be scheduled at first."""

from dask_k8s_local.resources import NODES

GPU = {"resources": {"requests": {"cpu": "400"}}}


def scheduled(pod):
    return next((one for one in pod["status"].get("conditions") or () if one["type"] == "PodScheduled"), {})


async def test_waits_for_room(here):
    here.run("sleep", "100", name="first", container=GPU)
    await here.phase("Running", "first")
    here.run("sleep", "100", name="second", container=GPU)
    pod = await here.until(scheduled, "second")
    assert scheduled(pod)["reason"] == "Unschedulable"
    assert scheduled(pod)["message"].startswith("0/1 nodes are available: 1 Insufficient cpu.")
    assert here.events("FailedScheduling") == [scheduled(pod)["message"]]
    here.delete("first", grace=0.5)
    await here.phase("Running", "second")


async def test_waits_for_a_label(here):
    here.run("sleep", "100", nodeSelector={"disk": "ssd"})
    await here.until(scheduled)
    node = here.store.get(NODES, None, "dask-k8s-local")
    here.store.update(NODES, {**node, "metadata": {**node["metadata"], "labels": {"disk": "ssd"}}})
    await here.phase("Running")


async def test_gates(here):
    here.run("sleep", "100", schedulingGates=[{"name": "example.com/wait"}])
    assert scheduled(await here.until(scheduled))["reason"] == "SchedulingGated"


async def test_another_scheduler(here, until):
    here.run("sleep", "100", name="theirs", schedulerName="theirs")
    here.run("sleep", "100", name="ours")
    await here.phase("Running", "ours")
    assert not scheduled(here.pod("theirs"))
