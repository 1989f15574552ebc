"""Jobs whose namespace is too small, whose controller is killed, and whose children somebody deletes."""

from datetime import UTC, datetime

import pytest

from .world import WAIT, Job

WORK = "from distributed import Client; c = Client(); print('sum', c.submit(sum, range(10)).result())\n"

PHASES = [None, "JobCreated", "ClusterCreated", "Running"]


def test_a_quota_starves_workers_and_not_the_runner(alone, manifest):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "three"}}
    alone.apply(quota | {"spec": {"hard": {"pods": "3"}}})
    alone.until(lambda: alone.get("resourcequota/three").get("status", {}).get("hard"))
    body = manifest(WORK + WAIT, name="demo")
    body["spec"]["cluster"]["spec"]["worker"]["replicas"] = 5
    with alone.controller():
        job = Job(alone, body)
        alone.until(lambda: job.condition("Degraded")["reason"] == "QuotaExceeded")
        job.says("Running")
        job.go()
        assert job.end() == "Successful"
        assert "sum 45" in job.logs()


def test_a_quota_of_resources_that_the_runner_does_not_set(alone, manifest):
    """The condition has the reason of Kubernetes, and the job runs when the quota is gone."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "cpu"}}
    alone.apply(quota | {"spec": {"hard": {"limits.cpu": "20"}}})
    alone.until(lambda: alone.get("resourcequota/cpu").get("status", {}).get("hard"))
    body = manifest(WORK, name="demo")
    cluster = body["spec"]["cluster"]["spec"]
    for section in ("scheduler", "worker"):
        cluster[section]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}}
    with alone.controller():
        job = Job(alone, body)
        alone.until(lambda: "must specify limits.cpu for: " in job.condition("Degraded").get("message", ""))
        assert job.condition("Degraded")["reason"] == "RunnerMissing"
        alone.kubectl("delete", "resourcequota/cpu")
        assert job.end() == "Successful"
        assert job.condition("Degraded")["reason"] == "Healthy"


def test_the_controller_is_killed_in_each_phase(alone, manifest):
    """One runner does the work once, on one cluster."""
    job = Job(alone, manifest(WORK + WAIT, name="demo"))
    clusters = []
    for phase in PHASES:
        with alone.controller() as controller:
            alone.until(lambda reached=phase: PHASES.index(job.value) >= PHASES.index(reached))
            controller.kill()
        found = alone.get("daskclusters")["items"]
        clusters += [each["metadata"]["uid"] for each in found]
    assert len(set(clusters)) == 1
    job.go()
    with alone.controller():
        assert job.end() == "Successful"
        job.loses_cluster()
    assert len(job.runners) == 1
    assert job.status["failures"] == 0
    assert "sum 45" in job.logs()


def runner_pods(world, job):
    """The uids of all pods that its runner has had."""
    path = f"{world.path('pods')}?labelSelector=dask.org/component%3Djob-runner"
    events = list(world.watch(path, job.created, seconds=1))
    assert "ERROR" not in {event["type"] for event in events}, events
    return {event["object"]["metadata"]["uid"] for event in events if event["type"] == "ADDED"}


@pytest.mark.core
@pytest.mark.parametrize("restart", ["Never", "OnFailure"])
def test_a_client_does_not_run_a_second_time(alone, manifest, restart):
    """It ends, and its Job is deleted, while there is no controller."""
    job = Job(alone, manifest(WORK + WAIT, restart=restart, name="demo"))
    with alone.controller() as controller:
        job.says("Running")
        controller.kill()
    job.go()
    alone.wait("job/demo-runner", "condition=Complete")
    alone.kubectl("delete", "job/demo-runner")
    alone.until(lambda: not job.runners)
    with alone.controller():
        reason, message = job.fails()
        assert reason == "RunnerLost"
        assert "demo-runner" in message
        job.loses_cluster()
    assert len(runner_pods(alone, job)) == 1


@pytest.mark.core
def test_the_cluster_is_deleted_while_the_client_runs(alone, manifest):
    job = Job(alone, manifest(WORK + WAIT, restart="Never", name="demo", clusterCleanup="Never"))
    with alone.controller():
        job.says("Running")
        alone.kubectl("delete", "daskcluster/demo")
        reason, message = job.fails()
        assert reason == "ClusterDeleted"
        assert "demo" in message
        alone.until(lambda: not job.running)
        assert not job.has_cluster


def idle_seconds(world):
    """For how long the cluster has been idle, as its status says."""
    since = world.get("daskcluster/demo").get("status", {}).get("idleSince")
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else 0.0


@pytest.mark.core
@pytest.mark.parametrize("action", ["Delete", "ScaleToZero", "Suspend"])
def test_an_idle_cluster_belongs_to_its_job(alone, manifest, action):
    body = manifest(WORK + WAIT, name="demo")
    body["spec"]["cluster"]["spec"] |= {"idleTimeout": 1, "idleAction": action}
    body["spec"]["cluster"]["spec"]["worker"]["replicas"] = 1
    job = Job(alone, body)
    with alone.controller():
        job.says("Running")
        uid = alone.get("daskcluster/demo")["metadata"]["uid"]
        alone.until(lambda: idle_seconds(alone) > 3)
        # The controller looks at a cluster that has been idle for too long, and the job still runs.
        edited = alone.patch("daskcluster/demo", {"spec": {"idleTimeout": 2}})["metadata"]["generation"]
        alone.until(lambda: alone.get("daskcluster/demo")["status"]["observedGeneration"] == edited)
        cluster = alone.get("daskcluster/demo")
        assert (cluster["metadata"]["uid"], cluster["spec"].get("suspend", False)) == (uid, False)
        assert alone.get("daskworkergroup/demo-default")["spec"]["worker"]["replicas"] == 1
        waits = {each["type"]: each["status"] for each in cluster["status"]["conditions"]}
        assert waits["IdleActionWaits"] == "True"
        job.go()
        assert job.end() == "Successful"


@pytest.mark.core
def test_its_workers_start_though_the_cluster_was_edited_before(alone, manifest):
    body = manifest(WORK + WAIT, name="demo")
    body["spec"]["cluster"]["spec"]["worker"]["replicas"] = 1
    job = Job(alone, body)
    with alone.controller():
        alone.wait("daskcluster/demo", "create")
        alone.patch("daskcluster/demo", {"spec": {"idleAction": "ScaleToZero"}})
        alone.until(lambda: alone.get("daskcluster/demo")["spec"]["worker"]["replicas"] == 1)
        job.says("Running")
        job.go()
        assert job.end() == "Successful"
        assert "sum 45" in job.logs()
