"""Jobs whose namespace is too small, and whose controller is killed."""

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
